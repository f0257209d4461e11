/* pace.c - see pace.h. */
#include "broker/handout/pace.h"

#include <sched.h>

#include "broker/base/broker.h"

#define PERIOD_MS 100
#define BRISK_PER_S 1000     /* connections; below that they are spread evenly */
#define BRISK_PER_STARVE 100 /* in a saturated pool it is cheaper to wake nobody who sleeps */
#define ATTEND_MAX 16        /* workers: each makes the way to the next one longer */
#define ACTIVE_MAX 10000     /* a worker that lies does not move the average without end */
#define HURRY_PER_S 500      /* connections that had to wait for a worker; an idle pool has none */

static bool may_change; /* nobody else has chosen a policy for us */
static unsigned hurried_listeners;

static void set_policy(int policy)
{
    struct sched_param none = {0};
    sched_setscheduler(0, policy, &none);
}

void pace_init(bool resumes)
{
    int policy = sched_getscheduler(0);

    if (resumes && policy == SCHED_BATCH)
        set_policy(policy = SCHED_OTHER);
    may_change = policy == SCHED_OTHER;
}

void pace_publish(const struct listener *listener, struct channel *channel)
{
    channel_set_flag(channel, BOARD_LOOK,
                     listener->hurried && runtime.handoff == HANDOFF_AUTO &&
                         broker.config.balance == BALANCE_LEASTCONN);
    channel_set_flag(channel, BOARD_ATTEND, listener->brisk && channel->position < ATTEND_MAX);
    channel_set_allowance(channel, listener->allowance);
}

/* pace.h tells why; a burst of connections that stay brings it back to 0 with the next review. */
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
        closed > listener->paced_closed && (closed - listener->paced_closed) * 10 >= accepted * 9;
    listener->allowance =
        listener->hurried && churns ? 1 + (uint32_t)(active / listener->channel_count) : 0;
    listener->paced_closed = closed;
}

void pace_publish_all(const struct listener *listener)
{
    for (uint32_t i = 0; i < listener->channel_count; i++)
        pace_publish(listener, listener->channels[i]);
}

static void set_hurried(struct listener *listener, bool on)
{
    unsigned before = hurried_listeners;

    if (listener->hurried == on)
        return;
    listener->hurried = on;
    hurried_listeners += on ? 1 : -1u;
    if (may_change && !before != !hurried_listeners)
        set_policy(on ? SCHED_BATCH : SCHED_OTHER);
}

bool pace_review(struct listener *listener)
{
    int64_t now_ms = loop_now_ms();
    int64_t elapsed_ms = now_ms - listener->paced_ms;

    if (elapsed_ms < PERIOD_MS)
        return listener->brisk;
    struct listener_totals totals = listener_totals(listener);
    uint64_t late = totals.direct + listener->wakes;
    uint64_t all = totals.accepted - listener->paced_all;
    bool brisk = all >= BRISK_PER_S * (uint64_t)elapsed_ms / 1000 &&
                 (listener->starves - listener->paced_starves) * BRISK_PER_STARVE <= all;
    set_hurried(listener, late - listener->paced_late >= HURRY_PER_S * (uint64_t)elapsed_ms / 1000);
    review_allowance(listener, all);
    pace_publish_all(listener); /* places change when others go */
    listener->paced_ms = now_ms;
    listener->paced_late = late;
    listener->paced_all = totals.accepted;
    listener->paced_starves = listener->starves;
    return brisk && runtime.handoff == HANDOFF_AUTO && broker.config.balance == BALANCE_LEASTCONN;
}

void pace_forget(struct listener *listener)
{
    set_hurried(listener, false);
}

void pace_restore(void)
{
    if (may_change && hurried_listeners > 0)
        set_policy(SCHED_OTHER);
}
