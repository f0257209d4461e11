/*
 * dispatch.c - see dispatch.h. ARCHITECTURE.md, "The life of a connection", follows these functions
 * by name.
 *
 *   pump -> pick_idle -> take_next -> hand    a worker is idle
 *   pump -> note_queue_waits                  none is: stop watching, ask workers to wake us
 *   on_tick -> probe                          none moves either: try workers that seem busy
 *   on_recall_check -> pump                   an offer is not taken (recall.c)
 *   accept_into_front -> pump                 --hold and its like: accepted before that (front/)
 */
#include "broker/handout/dispatch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/base/broker.h"
#include "broker/base/journal.h"
#include "broker/base/log.h"
#include "broker/base/turn.h"
#include "broker/handout/front/front.h"
#include "broker/handout/front/full.h"
#include "broker/handout/front/stages.h"
#include "broker/handout/listener_poll.h"
#include "broker/handout/pick.h"
#include "broker/handout/rate.h"
#include "broker/handout/recall.h"
#include "broker/handout/revive.h"
#include "broker/handout/take.h"
#include "broker/handout/watchdog.h"
#include "broker/pool/belief.h"
#include "broker/pool/closer.h"
#include "broker/pool/worker.h"

#define PUMP_BUDGET 64            /* connections handed out in one turn of the loop */
#define PAUSE_MS 20               /* when the system is short of something */
#define LINGER_MS 10000           /* for which a listener is believed to have SO_LINGER */
#define REST_DOUBLINGS 8          /* PAUSE_MS so often doubled: 5 s */
#define SHORTAGE_SILENCE_MS 60000 /* between two messages about that */
#define TICK_MAX_MS 100           /* between looks at a pool that does not move */

/* --- no worker is idle --- */

/* Workers may take from the backlog themselves only while it is all that waits. */
static enum board_queue queue_value(const struct listener *listener)
{
    bool in_our_care = listener->take.holds || !TAILQ_EMPTY(&listener->recallable);
    return runtime.handoff == HANDOFF_AUTO && !in_our_care && !listener->front.is_on ? BOARD_BACKLOG
                                                                                     : BOARD_ASK;
}

/* No worker is idle. Sets `queue_waits`: a worker that goes idle from now on wakes us, so look once
 * more after this. */
static void note_queue_waits(struct listener *listener)
{
    enum board_queue value = queue_value(listener);
    struct channel *channel;
    bool is_new = !listener->handout.queue_waits;

    listener->handout.queue_waits = true;
    if (is_new) {
        listener->handout.queue_waited++;
        listener->handout.waits_since_ms = loop_now_ms();
        listener->handout.tick_ms = broker.config.accept_timeout_ms;
        listener->handout.seen_progress = 0;
        loop_start_timer(&listener->handout.tick, listener->handout.tick_ms);
        listener_poll_expect(listener);
        watchdog_poke();
    }
    if (is_new || listener->front.is_on)
        listener_poll_arm(listener, front_has_room(listener));
    if (is_new || listener->handout.queue_as != value)
        for (uint32_t i = 0; i < listener->channel_count; i++)
            channel_set_queue(listener->channels[i], value);
    listener->handout.queue_as = value;
    while ((channel = TAILQ_FIRST(&listener->woken)) != NULL) {
        channel_set_woken(channel, false);
        channel_set_queue(channel, value);
    }
    atomic_thread_fence(memory_order_seq_cst);
}

/* No connection waits any more: watch the canonical socket again. */
static void note_queue_empty(struct listener *listener)
{
    if (listener->handout.queue_waits) {
        listener->handout.queue_waits = false;
        listener->handout.waited_ms += loop_now_ms() - listener->handout.waits_since_ms;
        loop_stop_timer(&listener->handout.tick);
        for (uint32_t i = 0; i < listener->channel_count; i++)
            channel_set_queue(listener->channels[i], BOARD_QUEUE_EMPTY);
    }
    while (!TAILQ_EMPTY(&listener->woken))
        channel_set_woken(TAILQ_FIRST(&listener->woken), false);
    listener_poll_arm(listener, true);
}

static void pause_listener(struct listener *listener, const char *what, int error)
{
    int64_t now_ms = loop_now_ms();

    if (!listener->handout.shortage_told_ms ||
        now_ms - listener->handout.shortage_told_ms >= SHORTAGE_SILENCE_MS) {
        log_error("cannot %s a connection: %s; no connection is lost; raise that limit", what,
                  strerror(error));
        listener->handout.shortage_told_ms = now_ms;
    }
    listener_poll_arm(listener, false);
    loop_start_timer(&listener->handout.pause, PAUSE_MS);
}

/* A worker that makes us sleep on one listener must not take our time from other listeners. */
static void rest(struct listener *listener)
{
    unsigned doublings =
        listener->take.sleeps < REST_DOUBLINGS ? listener->take.sleeps : REST_DOUBLINGS;

    listener_poll_arm(listener, false);
    loop_start_timer(&listener->handout.pause, PAUSE_MS << doublings);
}

static void on_pause_over(struct loop_timer *timer)
{
    struct listener *listener = loop_container(timer, struct listener, handout.pause);

    if (!listener->handout.queue_waits)
        listener_poll_arm(listener, true);
    dispatch_pump(listener);
}

/* --- to which worker --- */

/* The system is short of something, or accept4 slept. */
static void on_not_taken(struct listener *listener, enum take took)
{
    if (took == TAKE_SHORT)
        pause_listener(listener, "accept", errno);
    if (took == TAKE_SLEPT)
        rest(listener);
}

/* False: no connection waits, or the system is short of something. */
static bool get_connection(struct listener *listener, const struct channel *channel,
                           struct take_connection *connection)
{
    enum take took = take_next(listener, channel, connection);

    if (took == TAKE_DONE)
        return true;
    if (took == TAKE_NONE)
        note_queue_empty(listener);
    on_not_taken(listener, took);
    return false;
}

/*
 * Close at once: an open copy holds back the client's FIN. If the worker has closed the connection
 * already, this close is the last one and sleeps with SO_LINGER: a helper does it then.
 */
static void close_copy(struct listener *listener, int fd, int64_t now_ms)
{
    if (listener->handout.lingers_until_ms > now_ms)
        closer_pass(fd);
    else if (turn_close(fd))
        listener->handout.lingers_until_ms = now_ms + LINGER_MS;
}

static void (*observe)(const struct channel *channel, const struct take_connection *connection,
                       bool is_sent);

void dispatch_set_observer(void (*observer)(const struct channel *channel,
                                            const struct take_connection *connection, bool is_sent))
{
    observe = observer;
}

static void hand(struct listener *listener, struct channel *channel,
                 const struct take_connection *connection, int64_t now_ms)
{
    if (observe)
        observe(channel, connection, false);
    if (channel_send(channel, &connection->offer, connection->fd, listener->counts->handed + 1) ==
        0) {
        if (observe)
            observe(channel, connection, true);
        close_copy(listener, connection->fd, now_ms);
        atomic_store_explicit(journal_live.in_hand_fd, -1, memory_order_release);
        listener->counts->handed++;
        recall_expect(channel, now_ms);
        return;
    }
    take_hold(listener, connection);
    atomic_store_explicit(journal_live.in_hand_fd, -1, memory_order_release);
    if (errno == EPIPE || errno == ECONNRESET)
        worker_close_channel(channel);
    else
        pause_listener(listener, "pass on", errno);
}

/* A policy by peer needs the connection first; it may go to a busy worker, in whose channel it
 * waits. */
static void pump_by_source(struct listener *listener)
{
    struct take_connection connection;
    struct sockaddr_storage peer = {0};
    struct channel *channel = pick_by_source(listener, &peer);

    for (int budget = PUMP_BUDGET; channel && budget > 0; budget--) {
        if (loop_timer_runs(&listener->handout.pause) ||
            !get_connection(listener, channel, &connection))
            return;
        memset(&peer, 0, sizeof peer);
        memcpy(&peer, connection.offer.addr, connection.offer.addr_len);
        channel = pick_by_source(listener, &peer);
        if (!channel) {
            take_hold(listener, &connection);
            break;
        }
        hand(listener, channel, &connection, loop_now_ms());
        channel = pick_by_source(listener, &peer); /* a hand that fails may have freed it */
    }
    if (!channel)
        listener_poll_arm(listener, front_has_room(listener)); /* dispatch_start arms again */
}

static struct channel *pick_or_wait(struct listener *listener, int64_t now_ms)
{
    enum config_balance balance = broker.config.balance;
    struct channel *channel = pick_idle(listener, balance, now_ms);

    if (channel)
        return channel;
    note_queue_waits(listener);
    channel = pick_idle(listener, balance, now_ms);
    /* Workers that are idle already will not wake us. */
    if (listener->pick.waits_for_lighter && listener->handout.tick.at_ms > now_ms + PICK_LIGHTER_MS)
        loop_start_timer(&listener->handout.tick, PICK_LIGHTER_MS);
    return channel;
}

/* No other worker can get the offers, and no further copy will come. */
static bool is_deserted(const struct listener *listener)
{
    bool deserted = listener->displaced;

    for (uint32_t i = 0; deserted && i < listener->channel_count; i++)
        deserted = listener->channels[i]->closed;
    return deserted;
}

/* Without hand-out no worker comes for a closed channel: it goes as soon as it is empty. */
static void drop_recallable(struct listener *listener)
{
    struct channel *channel = TAILQ_FIRST(&listener->recallable);
    bool all = is_deserted(listener);

    while (channel) {
        struct channel *next = TAILQ_NEXT(channel, recallable);
        if (channel->closed && (all || channel->their_fd < 0 || channel_is_empty(channel))) {
            channel_set_recallable(channel, false);
            worker_on_channel_drained(channel);
        }
        channel = next;
    }
}

/* Whether its front holds all that waits, and none of it is complete. */
static bool is_held_up(const struct listener *listener)
{
    return !front_has_complete(listener) && !listener->take.holds &&
           TAILQ_EMPTY(&listener->recallable);
}

void dispatch_pump(struct listener *listener)
{
    struct take_connection connection;
    struct channel *channel;
    int64_t now_ms = loop_now_ms();

    if (!listener->listening || runtime.handoff == HANDOFF_DIRECT ||
        (listener->displaced && is_deserted(listener))) {
        drop_recallable(listener);
        if (!listener->listening && front_opens_early(listener))
            listener_poll_arm(listener, front_has_room(listener));
        return;
    }
    if (broker.config.balance == BALANCE_SOURCE) {
        pump_by_source(listener);
        return;
    }
    for (int budget = PUMP_BUDGET; budget > 0; budget--) {
        if (listener->front.is_on && is_held_up(listener)) {
            note_queue_empty(listener);
            return;
        }
        if (loop_timer_runs(&listener->handout.pause) ||
            !(channel = pick_or_wait(listener, now_ms)) ||
            !get_connection(listener, channel, &connection))
            return;
        if (listener->poll.exclusive)
            listener_poll_note_exclusive(listener, channel);
        hand(listener, channel, &connection, now_ms);
        /* Level-triggered: epoll calls again, for less than an accept4 that fails. */
        if (listener->poll.armed && TAILQ_EMPTY(&listener->recallable) && !listener->front.is_on)
            return;
    }
    /* Out of budget and not watching: come back next turn. */
    loop_start_timer(&listener->handout.tick, 0);
}

/* The front is full. If a worker is idle, its silent clients must not keep others from it. */
static bool make_room(struct listener *listener)
{
    if (!front_has_complete(listener) &&
        pick_idle(listener, broker.config.balance, loop_now_ms()) && front_evict(listener))
        return true;
    note_queue_waits(listener);
    listener_poll_arm(listener, false);
    return false;
}

/* Copies of one server want the same; front_take() corrects it. */
static bool wants_nonblock(const struct listener *listener)
{
    return listener->channel_count > 0 &&
           (atomic_load_explicit(&listener->channels[0]->board->worker.flags,
                                 memory_order_relaxed) &
            BOARD_WANTS_NONBLOCK);
}

/* One; the loop calls again for the next, for less than an accept4 that fails. */
static void accept_into_front(struct listener *listener)
{
    struct take_connection connection;

    if (loop_timer_runs(&listener->handout.pause) ||
        (!front_has_room(listener) && !make_room(listener)))
        return;
    enum take took = take_from_backlog(listener, wants_nonblock(listener), &connection);
    if (took == TAKE_DONE)
        stages_enter(listener, connection.fd, &connection.offer);
    else
        on_not_taken(listener, took);
}

static void on_canonical_ready(struct loop_fd *watch, uint32_t events)
{
    struct listener *listener = loop_container(watch, struct listener, poll.watch);

    if ((events & EPOLLHUP) && !revive_listener(listener))
        return;
    if ((events & EPOLLIN) && listener->front.is_on)
        accept_into_front(listener);
    dispatch_pump(listener);
}

void dispatch_wake(struct channel *channel)
{
    channel_set_woken(channel, true);
    channel->listener->handout.wakes++;
    if (channel->listener->handout.queue_waits)
        pick_begin_at(channel);
    dispatch_pump(channel->listener);
}

int dispatch_enforce(void)
{
    struct listener *listener;

    if (front_enforce() < 0)
        return -1;
    TAILQ_FOREACH(listener, &listeners, all)
        for (uint32_t i = 0; i < listener->channel_count; i++)
            rate_publish(listener, listener->channels[i]);
    listener_pump_all();
    return 0;
}

/* --- no worker moves --- */

static uint64_t measure_progress(const struct listener *listener)
{
    uint64_t sum = 1;

    for (uint32_t i = 0; i < listener->channel_count; i++)
        sum += channel_accepted(listener->channels[i]);
    return sum;
}

/* One connection to each channel that seems busy: its waiting may be invisible to us. */
static void probe(struct listener *listener)
{
    struct take_connection connection;
    struct channel *channel;

    while ((channel = pick_busy(listener, loop_now_ms())) != NULL) {
        if (!get_connection(listener, channel, &connection))
            return;
        belief_begin_probe(channel);
        hand(listener, channel, &connection, loop_now_ms());
        if (loop_timer_runs(&listener->handout.pause))
            return;
    }
}

/* --when-full: those that the front does not have any more, but no worker either. */
static void turn_away(struct listener *listener)
{
    int64_t before_ms = loop_now_ms() - (int64_t)broker.config.full_after_s * 1000;
    struct take_connection connection;

    while (take_older(listener, before_ms, &connection))
        stages_turn_away(listener, connection.fd, &connection.offer);
}

static void on_tick(struct loop_timer *timer)
{
    struct listener *listener = loop_container(timer, struct listener, handout.tick);
    uint64_t progress = measure_progress(listener);
    bool moved = progress != listener->handout.seen_progress;

    if (full_is_asked_for())
        turn_away(listener);
    dispatch_pump(listener);
    if (!listener->handout.queue_waits || loop_timer_runs(&listener->handout.tick))
        return;
    if (moved) {
        listener->handout.seen_progress = progress;
        listener->handout.tick_ms = broker.config.accept_timeout_ms;
    } else {
        if (!loop_timer_runs(&listener->handout.pause))
            probe(listener);
        listener->handout.tick_ms = listener->handout.tick_ms * 2 < TICK_MAX_MS
                                        ? listener->handout.tick_ms * 2
                                        : TICK_MAX_MS;
    }
    if (listener->handout.queue_waits)
        loop_start_timer(&listener->handout.tick, listener->handout.tick_ms);
}

/* --- life --- */

void dispatch_init(struct listener *listener)
{
    listener->handout.tick.on_time = on_tick;
    listener->handout.pause.on_time = on_pause_over;
    front_init(listener);
    recall_init(listener);
    listener_poll_init(listener, on_canonical_ready);
    if (front_opens_early(listener))
        listener_poll_arm(listener, true);
}

void dispatch_finish(struct listener *listener)
{
    listener_poll_finish(listener);
    revive_finish(listener);
    loop_stop_timer(&listener->handout.tick);
    recall_finish(listener);
    loop_stop_timer(&listener->handout.pause);
    rate_forget(listener);
    take_finish(listener);
    stages_finish(listener);
    if (listener->stored && !listener->inherited && !listener->shut)
        shutdown(listener->canonical_fd, SHUT_RDWR); /* the address is free at once */
}

void dispatch_start(struct listener *listener, struct channel *channel)
{
    listener_set_listening(listener, true);
    if (runtime.intercept == INTERCEPT_SECCOMP)
        listener_poll_arm(listener, true);
    if (runtime.handoff == HANDOFF_DIRECT)
        return;
    if (listener->handout.queue_waits)
        channel_set_woken(channel, true);
    else if (!loop_timer_runs(&listener->handout.pause))
        listener_poll_arm(listener, true);
    dispatch_pump(listener);
}

void dispatch_stop(struct listener *listener)
{
    listener_poll_end(listener); /* or its hang-up would be reported for ever */
    listener_set_listening(listener, false);
    take_finish(listener);
    stages_finish(listener);
    if (!listener->inherited)
        shutdown(listener->canonical_fd, SHUT_RD);
}

/* As natively: it listens until the last of the workers, which have it themselves, closes it. The
 * number stays taken. */
static void let_go(struct listener *listener)
{
    int other_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    listener_poll_end(listener);
    listener_set_shut(listener);
    if (other_fd < 0)
        return;
    dup3(other_fd, listener->canonical_fd, O_CLOEXEC);
    close(other_fd);
}

void dispatch_shut(struct listener *listener)
{
    if (!listener->listening || listener->shut)
        return;
    if (runtime.intercept == INTERCEPT_SECCOMP) {
        let_go(listener);
        return;
    }
    dispatch_pump(listener);
    listener_poll_end(listener); /* or its hang-up would be reported for ever */
    listener_set_shut(listener);
    stages_finish(listener);
    if (!listener->inherited && !listener->stored) /* else a new client waits for the next broker */
        shutdown(listener->canonical_fd, SHUT_RDWR);
}
