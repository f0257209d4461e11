/*
 * dispatch.c - see dispatch.h. ARCHITECTURE.md, "The life of a connection", follows these functions
 * by name.
 *
 *   pump -> pick_idle -> take_next -> hand    a worker is idle
 *   pump -> queue_begin                       none is: stop watching, ask workers to wake us
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
#include "broker/handout/canonical/listener_poll.h"
#include "broker/handout/canonical/revive.h"
#include "broker/handout/front/front.h"
#include "broker/handout/front/full.h"
#include "broker/handout/front/stages.h"
#include "broker/handout/pick.h"
#include "broker/handout/queue.h"
#include "broker/handout/recall.h"
#include "broker/handout/take.h"
#include "broker/handout/waits.h"
#include "broker/pool/belief.h"
#include "broker/pool/closer.h"
#include "broker/pool/worker.h"

#define PUMP_BUDGET 64  /* connections handed out in one turn of the loop */
#define LINGER_MS 10000 /* for which a listener is believed to have SO_LINGER */

/* --- to which worker --- */

/* The system is short of something, or accept4 slept. */
static void on_not_taken(struct listener *listener, enum take took)
{
    if (took == TAKE_SHORT)
        queue_pause(listener, "accept", errno);
    if (took == TAKE_SLEPT)
        queue_rest(listener);
}

/* False: no connection waits, or the system is short of something. */
static bool get_connection(struct listener *listener, const struct channel *channel,
                           struct take_connection *connection)
{
    enum take took = take_next(listener, channel, connection);

    if (took == TAKE_DONE)
        return true;
    if (took == TAKE_NONE)
        queue_end(listener);
    on_not_taken(listener, took);
    return false;
}

/* A close also looks slow if the broker lost the CPU meanwhile, for example to a cgroup quota. */
static bool lingers(int fd)
{
    struct linger linger = {0};
    socklen_t len = sizeof linger;

    return getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &len) == 0 && linger.l_onoff;
}

/*
 * Close at once: an open copy holds back the client's FIN. If the worker has closed the connection
 * already, this close is the last one and sleeps with SO_LINGER: a helper does it then. It may be
 * the last one of a file in an epoll set, too, see closer.h: once a loop has stood still, helpers
 * do it all.
 */
static void close_copy(struct listener *listener, int fd, int64_t now_ms)
{
    if (atomic_load_explicit(journal_live.stood_still, memory_order_relaxed) ||
        (listener->dispatch.lingers_until_ms > now_ms && lingers(fd)))
        closer_pass(fd);
    else if (turn_close(fd))
        listener->dispatch.lingers_until_ms = now_ms + LINGER_MS;
}

static dispatch_observer *observe;

void dispatch_set_observer(dispatch_observer *observer)
{
    observe = observer;
}

bool dispatch_hand(struct channel *channel, const struct take_connection *connection,
                   int64_t now_ms)
{
    struct listener *listener = channel->listener;
    int64_t wait_ms = observe || broker.config.metrics ? waits_measure_ms(connection->fd) : -1;

    if (observe)
        observe(channel, connection, wait_ms, false);
    if (channel_send(channel, &connection->offer, connection->fd, listener->counts->handed + 1) < 0)
        return false;
    if (observe)
        observe(channel, connection, wait_ms, true);
    if (wait_ms >= 0)
        waits_note(listener, wait_ms);
    close_copy(listener, connection->fd, now_ms);
    atomic_store_explicit(journal_live.in_hand_fd, -1, memory_order_release);
    listener->counts->handed++;
    recall_expect(channel, now_ms);
    return true;
}

/* The connection waits for the next turn. May free the channel. */
static void on_not_sent(struct channel *channel, const struct take_connection *connection)
{
    struct listener *listener = channel->listener;
    int error = errno;

    take_hold(listener, connection);
    atomic_store_explicit(journal_live.in_hand_fd, -1, memory_order_release);
    if (error == EPIPE || error == ECONNRESET)
        worker_close_channel(channel);
    else
        queue_pause(listener, "pass on", error);
}

/* A policy by peer needs the connection first; it may go to a busy worker, in whose channel it
 * waits. */
static void pump_by_source(struct listener *listener)
{
    struct take_connection connection;
    struct sockaddr_storage peer = {0};
    struct channel *channel = pick_by_source(listener, &peer);

    for (int budget = PUMP_BUDGET; channel && budget > 0; budget--) {
        if (loop_timer_runs(&listener->queue.pause) ||
            !get_connection(listener, channel, &connection))
            return;
        memset(&peer, 0, sizeof peer);
        memcpy(&peer, connection.offer.addr, connection.offer.addr_len);
        channel = pick_by_source(listener, &peer);
        if (!channel) {
            take_hold(listener, &connection);
            break;
        }
        if (!dispatch_hand(channel, &connection, loop_now_ms()))
            on_not_sent(channel, &connection);
        channel = pick_by_source(listener, &peer); /* it may be gone */
    }
    if (!channel)
        queue_begin(listener); /* all have what they may have, or none is there */
}

static struct channel *pick_or_wait(struct listener *listener, int64_t now_ms)
{
    enum config_balance balance = broker.config.balance;
    struct channel *channel = pick_idle(listener, balance, now_ms);

    if (channel)
        return channel;
    queue_begin(listener);
    channel = pick_idle(listener, balance, now_ms);
    /* Workers that are idle already will not wake us. */
    if (listener->pick.waits_for_lighter)
        queue_look_within(listener, PICK_LIGHTER_MS);
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
            queue_end(listener);
            return;
        }
        if (loop_timer_runs(&listener->queue.pause) ||
            !(channel = pick_or_wait(listener, now_ms)) ||
            !get_connection(listener, channel, &connection))
            return;
        if (listener->poll.exclusive)
            listener_poll_note_exclusive(listener, channel);
        if (!dispatch_hand(channel, &connection, now_ms))
            on_not_sent(channel, &connection);
        /* Level-triggered: epoll calls again, for less than an accept4 that fails. */
        if (listener->poll.armed && TAILQ_EMPTY(&listener->recallable) && !listener->front.is_on)
            return;
    }
    /* Out of budget and not watching: come back next turn. */
    loop_start_timer(&listener->queue.tick, 0);
}

/* The front is full. If a worker is idle, its silent clients must not keep others from it. */
static bool make_room(struct listener *listener)
{
    if (!front_has_complete(listener) &&
        pick_idle(listener, broker.config.balance, loop_now_ms()) && front_evict(listener))
        return true;
    queue_begin(listener);
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

    if (loop_timer_runs(&listener->queue.pause) ||
        (!front_has_room(listener) && !make_room(listener)))
        return;
    enum take took = take_from_backlog(listener, wants_nonblock(listener), &connection);
    if (took == TAKE_DONE)
        stages_enter(listener, connection.fd, &connection.offer);
    else
        on_not_taken(listener, took);
}

void dispatch_on_ready(struct loop_fd *watch, uint32_t events)
{
    struct listener *listener = loop_container(watch, struct listener, poll.watch);

    if ((events & EPOLLHUP) && !revive_listener(listener))
        return;
    if ((events & EPOLLIN) && listener->front.is_on)
        accept_into_front(listener);
    dispatch_pump(listener);
}

/* So that its next wait reports both: what its loop has found meanwhile, and a connection. */
static void give_ahead(struct channel *channel)
{
    struct listener *listener = channel->listener;
    struct take_connection connection;

    if (!loop_timer_runs(&listener->queue.pause) && pick_is_given_ahead(channel) &&
        get_connection(listener, channel, &connection) &&
        !dispatch_hand(channel, &connection, loop_now_ms()))
        on_not_sent(channel, &connection);
}

void dispatch_wake(struct channel *channel)
{
    struct listener *listener = channel->listener;

    channel_set_woken(channel, true);
    listener->dispatch.wakes++;
    if (listener->queue.waits) {
        pick_begin_at(channel);
        give_ahead(channel); /* may free the channel */
    }
    dispatch_pump(listener);
}

/* --- no worker moves --- */

/* One connection to each channel that seems busy: its waiting may be invisible to us. */
static void probe(struct listener *listener)
{
    struct take_connection connection;
    struct channel *channel;

    while ((channel = pick_busy(listener, loop_now_ms())) != NULL) {
        if (!get_connection(listener, channel, &connection))
            return;
        belief_begin_probe(channel);
        if (!dispatch_hand(channel, &connection, loop_now_ms()))
            on_not_sent(channel, &connection);
        if (loop_timer_runs(&listener->queue.pause))
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

void dispatch_on_tick(struct loop_timer *tick)
{
    struct listener *listener = loop_container(tick, struct listener, queue.tick);
    uint64_t progress = queue_progress(listener);

    if (full_is_asked_for())
        turn_away(listener);
    dispatch_pump(listener);
    if (!listener->queue.waits || loop_timer_runs(tick))
        return;
    if (!queue_has_moved(listener, progress) && !loop_timer_runs(&listener->queue.pause))
        probe(listener);
    queue_look_again(listener, progress);
}
