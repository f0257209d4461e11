/* rate.c - see rate.h. */
#include "broker/handout/canonical/rate.h"

#include "broker/base/broker.h"
#include "broker/handout/canonical/scheduling.h"

#define NOTABLE_PER_PERIOD 10 /* fewer connections change nothing */
#define HIGH_RATE_PER_S 1000  /* connections; below that they are spread evenly */
/* In a saturated pool it is cheaper to wake no worker that sleeps: 4 event loops, 64 clients, 0.83
 * to 0.87 of the CPU. Saturated: of so many connections one had to wait for a worker; or one woke
 * us, mostly for loops that were woken and declined; or one was taken by a worker that looked
 * itself. */
#define HIGH_RATE_PER_WAIT 100
#define HIGH_RATE_PER_WAKE 10
#define HIGH_RATE_PER_DIRECT 2
#define WAIT_EXCLUSIVE_MAX 16 /* workers: each makes the way to the next one longer */
#define ACTIVE_MAX 10000      /* a worker that lies does not move the average without end */
#define SATURATED_PER_S 500   /* connections that had to wait for a worker; an idle pool has none */

void rate_init(bool resumes)
{
    scheduling_init(resumes);
    if (broker.config.handoff == HANDOFF_BROKER || config_front_option(&broker.config))
        scheduling_halve_group();
}

bool rate_permits_direct(const struct listener *listener)
{
    return runtime.handoff == HANDOFF_AUTO && !broker.config.skip_dead && !listener->front.is_on &&
           !listener->pick.is_led;
}

bool rate_is_noted(const struct channel *channel)
{
    const struct listener *listener = channel->listener;

    return broker.config.conn_log && channel->has_notes &&
           board_has_worker_flag(channel->board, BOARD_CAN_NOTE) &&
           listener->bound.storage.ss_family != AF_UNIX && listener->socket.netns == 0;
}

bool rate_is_unseen(const struct channel *channel)
{
    return broker.config.conn_log && !(channel->flags & BOARD_NOTES);
}

void rate_publish(const struct listener *listener, struct channel *channel)
{
    bool is_seen = !rate_is_unseen(channel);

    channel_set_flag(channel, BOARD_LOOK,
                     is_seen && listener->rate.saturated && rate_permits_direct(listener) &&
                         broker.config.balance == BALANCE_LEASTCONN);
    channel_set_flag(channel, BOARD_THROUGH,
                     runtime.handoff != HANDOFF_DIRECT &&
                         (!is_seen || !rate_permits_direct(listener)));
    channel_set_flag(channel, BOARD_WAIT_EXCLUSIVE,
                     is_seen && listener->poll.high_rate && channel->position < WAIT_EXCLUSIVE_MAX);
    channel_set_allowance(channel, listener->rate.allowance);
}

/* rate.h tells why; a burst of connections that stay brings it back to 0 with the next review. */
static void review_allowance(struct listener *listener, uint64_t accepted)
{
    uint64_t closed = 0, active = 0;

    for (uint32_t i = 0; i < listener->channel_count; i++) {
        uint64_t open = channel_active(listener->channels[i]);
        active += open < ACTIVE_MAX ? open : ACTIVE_MAX;
        closed += channel_accepted(listener->channels[i]) - open;
    }
    /* Less than before, where a worker is gone: nothing is known then. */
    bool churns =
        closed > listener->rate.closed && (closed - listener->rate.closed) * 10 >= accepted * 9;
    listener->rate.allowance =
        listener->rate.saturated && churns ? 1 + (uint32_t)(active / listener->channel_count) : 0;
    listener->rate.closed = closed;
}

void rate_publish_all(const struct listener *listener)
{
    for (uint32_t i = 0; i < listener->channel_count; i++)
        rate_publish(listener, listener->channels[i]);
}

static void set_saturated(struct listener *listener, bool on)
{
    enum scheduling wanted = SCHEDULING_NORMAL;

    if (listener->rate.saturated == on)
        return;
    listener->rate.saturated = on;
    TAILQ_FOREACH(listener, &listeners, all)
        if (listener->rate.saturated && wanted != SCHEDULING_PATIENT)
            wanted = rate_permits_direct(listener) ? SCHEDULING_BATCH : SCHEDULING_PATIENT;
    scheduling_set(wanted);
}

bool rate_is_low(const struct listener *listener)
{
    return !listener->poll.high_rate && !listener->rate.saturated && !listener->queue.waits &&
           listener->rate.count < NOTABLE_PER_PERIOD;
}

/* They come fast, and workers wait for them: none of the other way round. */
static bool comes_fast_to_idle(const struct listener *listener, uint64_t all, int64_t elapsed_ms)
{
    uint64_t queue_waited = listener->queue.begun - listener->rate.queues;
    uint64_t wakes = listener->dispatch.wakes - listener->rate.wakes;

    return all >= HIGH_RATE_PER_S * (uint64_t)elapsed_ms / 1000 &&
           queue_waited * HIGH_RATE_PER_WAIT <= all && wakes * HIGH_RATE_PER_WAKE <= all;
}

/* Whether event loops may wait exclusively. While they do, all that they take is direct; while they
 * do not, only what a worker finds that comes back. */
static bool exclusive_pays(const struct listener *listener, uint64_t all, uint64_t direct)
{
    return listener->rate.favours && rate_permits_direct(listener) &&
           broker.config.balance == BALANCE_LEASTCONN &&
           (listener->poll.high_rate || direct * HIGH_RATE_PER_DIRECT <= all);
}

/* Where we hand out all connections their number tells: if workers go first they seldom find us
 * asleep, so that few come late. */
static bool is_saturated(const struct listener *listener, uint64_t all, uint64_t late,
                         int64_t elapsed_ms)
{
    return rate_permits_direct(listener) ? late >= SATURATED_PER_S * (uint64_t)elapsed_ms / 1000
                                         : all >= HIGH_RATE_PER_S * (uint64_t)elapsed_ms / 1000;
}

bool rate_review(struct listener *listener)
{
    int64_t now_ms = loop_now_ms();
    int64_t elapsed_ms = now_ms - listener->rate.reviewed_ms;

    if (elapsed_ms < RATE_PERIOD_MS)
        return listener->poll.high_rate;
    struct listener_totals totals = listener_totals(listener);
    uint64_t late = totals.direct + listener->dispatch.wakes;
    uint64_t all = totals.accepted - listener->rate.accepted;
    listener->rate.favours = comes_fast_to_idle(listener, all, elapsed_ms);
    bool high_rate = exclusive_pays(listener, all, totals.direct - listener->rate.direct);
    set_saturated(listener, is_saturated(listener, all, late - listener->rate.late, elapsed_ms));
    review_allowance(listener, all);
    rate_publish_all(listener); /* places change when others go */
    listener->rate.reviewed_ms = now_ms;
    listener->rate.late = late;
    listener->rate.direct = totals.direct;
    listener->rate.wakes = listener->dispatch.wakes;
    listener->rate.accepted = totals.accepted;
    listener->rate.count = all;
    listener->rate.queues = listener->queue.begun;
    return high_rate;
}

void rate_forget(struct listener *listener)
{
    set_saturated(listener, false);
}
