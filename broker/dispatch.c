/*
 * dispatch.c - see dispatch.h. ARCHITECTURE.md, "The life of a connection", follows the functions
 * by name.
 *
 *   pump -> pick_idle -> take_next -> hand          somebody is idle
 *   pump -> starve                                  nobody is: stop watching, ask the workers to
 * wake us on_tick -> probe                                nobody moves either: try one that claims
 * to be busy on_check -> dispatch_strand -> pump             an offer is not taken: recall it once
 * somebody is idle
 */
#include "dispatch.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker.h"
#include "log.h"
#include "pick.h"
#include "worker.h"

#define PUMP_BUDGET 64  /* connections handed out in one turn of the loop */
#define PAUSE_MS 20     /* when the system is short of something */
#define TICK_MAX_MS 100 /* between looks at a pool that does not move */
#define FORGIVE_MS 100  /* after which an empty channel with untaken offers has a wrong counter */

enum take { TAKE_NONE, TAKE_DONE, TAKE_PAUSED };

struct connection {
    int fd;
    struct wire_offer offer;
};

/* --- the queue, watched or not
 * ------------------------------------------------------------------------------------ */

static void arm(struct listener *listener, bool on)
{
    if (listener->shut)
        return;
    if (listener->armed != on)
        loop_modify(&listener->watch, on ? EPOLLIN : 0);
    listener->armed = on;
}

/* set_outstanding, set_stranded, set_woken: membership of a channel in one queue of its listener.
 */
#define DEFINE_MEMBERSHIP(queue)                                                                   \
    static void set_##queue(struct channel *channel, bool on)                                      \
    {                                                                                              \
        if (channel->on_##queue == on)                                                             \
            return;                                                                                \
        channel->on_##queue = on;                                                                  \
        if (on)                                                                                    \
            TAILQ_INSERT_TAIL(&channel->listener->queue, channel, queue);                          \
        else                                                                                       \
            TAILQ_REMOVE(&channel->listener->queue, channel, queue);                               \
    }

DEFINE_MEMBERSHIP(outstanding)
DEFINE_MEMBERSHIP(stranded)
DEFINE_MEMBERSHIP(woken)

/* Workers may take from the backlog themselves only while it is the only place where connections
 * wait. */
static enum board_starving starving_value(const struct listener *listener)
{
    bool in_our_care = listener->held_fd >= 0 || !TAILQ_EMPTY(&listener->stranded);
    return broker.config.handoff == HANDOFF_AUTO && !in_our_care ? BOARD_BACKLOG : BOARD_ASK;
}

/* Nobody is idle. Sets `starving`; whoever goes idle from now on wakes us, so look once more after
 * this. */
static void starve(struct listener *listener)
{
    enum board_starving value = starving_value(listener);
    struct channel *channel;

    if (!listener->starving) {
        listener->tick_ms = broker.config.recall_ms;
        listener->seen_progress = 0;
        loop_start_timer(&listener->tick, listener->tick_ms);
        arm(listener, false);
    }
    if (!listener->starving || listener->starving_as != value)
        for (uint32_t i = 0; i < listener->channel_count; i++)
            channel_set_starving(listener->channels[i], value);
    listener->starving = true;
    listener->starving_as = value;
    while ((channel = TAILQ_FIRST(&listener->woken)) != NULL) {
        set_woken(channel, false);
        channel_set_starving(channel, value);
    }
    atomic_thread_fence(memory_order_seq_cst);
}

/* Nothing waits any more: watch the canonical socket again. */
static void sate(struct listener *listener)
{
    if (listener->starving) {
        listener->starving = false;
        loop_stop_timer(&listener->tick);
        for (uint32_t i = 0; i < listener->channel_count; i++)
            channel_set_starving(listener->channels[i], BOARD_FED);
    }
    while (!TAILQ_EMPTY(&listener->woken))
        set_woken(TAILQ_FIRST(&listener->woken), false);
    arm(listener, true);
}

static void pause_listener(struct listener *listener, const char *what, int error)
{
    if (!listener->paused)
        log_error("cannot %s a connection: %s; nothing is lost, going on as soon as it can be done",
                  what, strerror(error));
    listener->paused = true;
    arm(listener, false);
    loop_start_timer(&listener->pause, PAUSE_MS);
}

/* --- where a connection comes from
 * -------------------------------------------------------------------------------- */

static bool is_shortage(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM ||
           error == ETOOMANYREFS;
}

static enum take take_from_backlog(struct listener *listener, bool nonblock,
                                   struct connection *connection)
{
    struct sockaddr_storage peer;
    socklen_t len = sizeof peer;

    if (listener->shut)
        return TAKE_NONE;
    for (;;) {
        int flags = SOCK_CLOEXEC | (nonblock ? SOCK_NONBLOCK : 0);
        connection->fd = accept4(listener->canonical_fd, (struct sockaddr *)&peer, &len, flags);
        if (connection->fd >= 0)
            break;
        if (errno == EAGAIN)
            return TAKE_NONE;
        if (is_shortage(errno)) {
            pause_listener(listener, "accept", errno);
            return TAKE_PAUSED;
        }
        /* A worker that was broken into may have shut it down for all; TCP listens again. */
        if (errno == EINVAL && listen(listener->canonical_fd, broker.config.backlog) < 0)
            return TAKE_NONE;
        /* anything else concerns that one connection, see accept(2), "Error handling" */
        len = sizeof peer;
    }
    listener->accepts++;
    wire_head_init(&connection->offer.head, WIRE_OFFER);
    connection->offer.flags = nonblock ? WIRE_OFFER_NONBLOCK : 0;
    connection->offer.addr_len = len <= WIRE_ADDRESS_MAX ? len : WIRE_ADDRESS_MAX;
    memcpy(connection->offer.addr, &peer, connection->offer.addr_len);
    return TAKE_DONE;
}

/* The oldest offer that its worker does not take. */
static enum take take_stranded(struct listener *listener, struct connection *connection)
{
    struct channel *channel;

    while ((channel = TAILQ_FIRST(&listener->stranded)) != NULL) {
        connection->fd = channel_recall(channel, &connection->offer);
        if (connection->fd >= 0) {
            listener->recalled++;
            return TAKE_DONE;
        }
        set_stranded(channel, false);
        worker_on_channel_drained(channel); /* may free it */
    }
    return TAKE_NONE;
}

static enum take take_next(struct listener *listener, bool nonblock, struct connection *connection)
{
    if (listener->held_fd >= 0) {
        connection->fd = listener->held_fd;
        connection->offer = listener->held;
        listener->held_fd = -1;
        return TAKE_DONE;
    }
    if (take_stranded(listener, connection) == TAKE_DONE)
        return TAKE_DONE;
    return take_from_backlog(listener, nonblock, connection);
}

static void hold(struct listener *listener, const struct connection *connection)
{
    listener->held_fd = connection->fd;
    listener->held = connection->offer;
}

/* --- where it goes
 * ------------------------------------------------------------------------------------------------
 */

static bool wants_nonblock(const struct channel *channel)
{
    return (atomic_load_explicit(&channel->board->worker.flags, memory_order_relaxed) &
            BOARD_WANTS_NONBLOCK) != 0;
}

/* False: it could not be sent and is held. */
static bool hand(struct listener *listener, struct channel *channel,
                 const struct connection *connection)
{
    if (channel_send(channel, &connection->offer, connection->fd) == 0) {
        close(connection->fd); /* at once: a copy kept open holds back the client's FIN */
        listener->handed++;
        listener->paused = false;
        if (!channel->on_outstanding)
            channel->sent_at_ms = loop_now_ms();
        set_outstanding(channel, true);
        if (!loop_timer_runs(&listener->check))
            loop_start_timer(&listener->check, broker.config.recall_ms);
        return true;
    }
    hold(listener, connection);
    if (errno == EPIPE || errno == ECONNRESET)
        dispatch_close_channel(channel);
    else
        pause_listener(listener, "pass on", errno);
    return false;
}

/* A policy by peer needs the connection first; it may go to a busy worker, in whose channel it
 * waits. */
static void pump_by_source(struct listener *listener)
{
    struct connection connection;
    struct channel *channel = pick_by_source(listener, &(struct sockaddr_storage){0});

    for (int budget = PUMP_BUDGET; channel && budget > 0 && !loop_timer_runs(&listener->pause);
         budget--) {
        enum take took = take_next(listener, wants_nonblock(channel), &connection);
        if (took == TAKE_NONE)
            sate(listener);
        if (took != TAKE_DONE)
            return;
        struct sockaddr_storage peer = {0};
        memcpy(&peer, connection.offer.addr, connection.offer.addr_len);
        channel = pick_by_source(listener, &peer);
        if (!channel)
            hold(listener, &connection);
        else
            hand(listener, channel, &connection);
    }
    if (!channel)
        arm(listener, false);
}

static struct channel *pick_or_starve(struct listener *listener)
{
    struct channel *channel = pick_idle(listener, broker.config.balance, loop_now_ms());

    if (channel)
        return channel;
    starve(listener);
    return pick_idle(listener, broker.config.balance, loop_now_ms());
}

void dispatch_pump(struct listener *listener)
{
    struct connection connection;

    if (!listener->listening || broker.config.handoff == HANDOFF_DIRECT ||
        loop_timer_runs(&listener->pause))
        return;
    if (broker.config.balance == BALANCE_SOURCE) {
        pump_by_source(listener);
        return;
    }
    for (int budget = PUMP_BUDGET; budget > 0; budget--) {
        struct channel *channel = pick_or_starve(listener);
        if (!channel)
            return;
        enum take took = take_next(listener, wants_nonblock(channel), &connection);
        if (took == TAKE_NONE)
            sate(listener);
        if (took != TAKE_DONE)
            return;
        hand(listener, channel, &connection);
        /* Level-triggered: epoll calls again, for less than an accept4 that fails. */
        if (listener->armed && TAILQ_EMPTY(&listener->stranded))
            return;
    }
    /* Out of budget while not watching: let the loop call again. */
    loop_start_timer(&listener->tick, 0);
}

static void on_canonical_ready(struct loop_watch *watch, uint32_t events)
{
    (void)events;
    dispatch_pump(loop_container(watch, struct listener, watch));
}

void dispatch_wake(struct channel *channel)
{
    set_woken(channel, true);
    dispatch_pump(channel->listener);
}

/* --- nobody moves
 * -------------------------------------------------------------------------------------------------
 */

static uint64_t progress(const struct listener *listener)
{
    uint64_t sum = 1;

    for (uint32_t i = 0; i < listener->channel_count; i++)
        sum += channel_accepted(listener->channels[i]);
    return sum;
}

/* Offers that were tried on channels that claimed to be busy: was the claim wrong? */
static void judge_probe(struct channel *channel)
{
    bool taken_unseen = atomic_load_explicit(&channel->board->worker.waits, memory_order_relaxed) ==
                        channel->seen_waits;

    if (taken_unseen && !channel->blind) {
        log_debug("worker %u takes connections while it seems busy; its waiting cannot be seen",
                  worker_slot(channel->worker));
        channel->blind = true;
    }
}

/* One connection to each channel that claims to be busy: their waiting may be invisible to us. */
static void probe(struct listener *listener)
{
    struct connection connection;
    struct channel *channel;

    while ((channel = pick_busy(listener, loop_now_ms())) != NULL) {
        enum take took = take_next(listener, wants_nonblock(channel), &connection);
        if (took == TAKE_NONE)
            sate(listener);
        if (took != TAKE_DONE)
            return;
        channel->seen_waits =
            atomic_load_explicit(&channel->board->worker.waits, memory_order_relaxed);
        channel->probing = true;
        hand(listener, channel, &connection);
    }
}

static void on_tick(struct loop_timer *timer)
{
    struct listener *listener = loop_container(timer, struct listener, tick);

    dispatch_pump(listener);
    if (!listener->starving || loop_timer_runs(&listener->tick))
        return;
    uint64_t now = progress(listener);
    if (now != listener->seen_progress) {
        listener->seen_progress = now;
        listener->tick_ms = broker.config.recall_ms;
    } else {
        probe(listener);
        listener->tick_ms =
            listener->tick_ms * 2 < TICK_MAX_MS ? listener->tick_ms * 2 : TICK_MAX_MS;
    }
    if (listener->starving)
        loop_start_timer(&listener->tick, listener->tick_ms);
}

/* --- offers that are not taken
 * ------------------------------------------------------------------------------------ */

/* False: nothing more to look after here. */
static bool check_channel(struct channel *channel, int64_t now_ms)
{
    if (channel_untaken(channel) == 0) {
        if (channel->probing)
            judge_probe(channel);
        channel->probing = false;
        return false;
    }
    uint64_t accepted = channel_accepted(channel);
    if (accepted != channel->checked_accepted) { /* it moves; what is untaken now is younger */
        channel->checked_accepted = accepted;
        channel->sent_at_ms = now_ms;
    }
    int64_t age_ms = now_ms - channel->sent_at_ms;
    if (age_ms < broker.config.recall_ms || broker.config.balance == BALANCE_SOURCE)
        return true;
    if (!channel->suspect || now_ms >= channel->probe_at_ms) {
        channel->blind = false;
        channel_suspect(channel, now_ms, broker.config.recall_ms);
    }
    channel->probing = false;
    if (age_ms >= FORGIVE_MS && !channel->on_stranded && channel_is_empty(channel)) {
        channel_forgive(channel);
        return false;
    }
    set_stranded(channel, true);
    return true;
}

static void on_check(struct loop_timer *timer)
{
    struct listener *listener = loop_container(timer, struct listener, check);
    struct channel *channel = TAILQ_FIRST(&listener->outstanding);
    int64_t oldest_ms = loop_now_ms();

    while (channel) {
        struct channel *next = TAILQ_NEXT(channel, outstanding);
        if (!check_channel(channel, loop_now_ms()))
            set_outstanding(channel, false);
        else if (channel->sent_at_ms < oldest_ms)
            oldest_ms = channel->sent_at_ms;
        channel = next;
    }
    if (!TAILQ_EMPTY(&listener->stranded))
        dispatch_pump(listener);
    if (TAILQ_EMPTY(&listener->outstanding) || loop_timer_runs(timer))
        return;
    /* The longer nobody takes them the more rarely we look: whoever goes idle tells us anyway. */
    int64_t delay_ms = loop_now_ms() - oldest_ms;
    loop_start_timer(timer, delay_ms < broker.config.recall_ms ? broker.config.recall_ms
                            : delay_ms < 500                   ? delay_ms
                                                               : 500);
}

void dispatch_strand(struct channel *channel)
{
    if (channel_untaken(channel) == 0)
        return;
    set_stranded(channel, true);
    dispatch_pump(channel->listener);
}

static void on_pause_over(struct loop_timer *timer)
{
    struct listener *listener = loop_container(timer, struct listener, pause);

    if (!listener->starving)
        arm(listener, true);
    dispatch_pump(listener);
}

/* --- life
 * ---------------------------------------------------------------------------------------------------------
 */

int dispatch_init(struct listener *listener)
{
    listener->watch.fd = listener->canonical_fd;
    listener->watch.on_ready = on_canonical_ready;
    listener->tick.on_time = on_tick;
    listener->check.on_time = on_check;
    listener->pause.on_time = on_pause_over;
    return loop_add(&listener->watch, 0);
}

void dispatch_finish(struct listener *listener)
{
    if (listener->watch.on_ready && !listener->shut)
        loop_remove(&listener->watch);
    loop_stop_timer(&listener->tick);
    loop_stop_timer(&listener->check);
    loop_stop_timer(&listener->pause);
    if (listener->held_fd >= 0)
        close(listener->held_fd);
}

void dispatch_start(struct listener *listener, struct channel *channel)
{
    listener->listening = true;
    if (broker.config.handoff == HANDOFF_DIRECT)
        return;
    if (listener->starving)
        set_woken(channel, true);
    else if (!loop_timer_runs(&listener->pause))
        arm(listener, true);
    dispatch_pump(listener);
}

void dispatch_close_channel(struct channel *channel)
{
    channel->closed = true;
    set_outstanding(channel, false);
    set_woken(channel, false);
    /* The counter of a dead worker may lag behind what it took: ask the channel itself. */
    set_stranded(channel, true);
    dispatch_pump(channel->listener);
}

void dispatch_forget(struct listener *listener, struct channel *channel)
{
    (void)listener;
    set_outstanding(channel, false);
    set_stranded(channel, false);
    set_woken(channel, false);
}

void dispatch_shut(struct listener *listener)
{
    if (!listener->listening || listener->shut)
        return;
    dispatch_pump(listener);
    loop_remove(&listener->watch); /* or its hang-up would be reported for ever */
    listener->shut = true;
    shutdown(listener->canonical_fd, SHUT_RDWR);
}
