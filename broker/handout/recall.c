/* recall.c - see recall.h. */
#include "broker/handout/recall.h"

#include "broker/base/broker.h"
#include "broker/base/log.h"
#include "broker/handout/canonical/listener_poll.h"
#include "broker/handout/take.h"
#include "broker/handout/watchdog.h"
#include "broker/pool/belief.h"
#include "broker/pool/worker.h"

#define WRITE_OFF_MS                                                                               \
    100 /* after which an empty channel with untaken offers has a wrong counter                    \
         */
#define CHECK_MAX_MS 500

void recall_expect(struct channel *channel, int64_t now_ms)
{
    channel->recall.given_ms = now_ms;
    if (!channel->on_outstanding) {
        channel->recall.sent_at_ms = now_ms;
        channel_set_outstanding(channel, true);
    }
    loop_ensure_timer(&channel->listener->recall.check, broker.config.accept_timeout_ms);
}

/* How long the oldest untaken offer has waited, at most. */
static int64_t measure_age(struct channel *channel, int64_t now_ms)
{
    uint64_t accepted = channel_accepted(channel);

    if (accepted !=
        channel->recall.checked_accepted) { /* it moves; what is untaken now is younger */
        channel->recall.checked_accepted = accepted;
        channel->recall.sent_at_ms = now_ms;
    }
    return now_ms - channel->recall.sent_at_ms;
}

/* All its offers are taken. If it had seemed busy and never waited since, it waits invisibly. */
static void on_taken(struct channel *channel)
{
    if (belief_end_probe(channel))
        log_debug("worker %u takes connections while it seems busy; its waiting cannot be seen",
                  worker_slot(channel->worker));
}

static void on_overdue(struct channel *channel, int64_t now_ms, int64_t age_ms)
{
    if (!channel->belief.overdue || now_ms >= channel->belief.probe_at_ms)
        belief_note_overdue(channel, now_ms, broker.config.accept_timeout_ms);
    if (age_ms >= WRITE_OFF_MS && channel_is_empty(channel))
        channel_write_off(channel);
    else
        channel_set_recallable(channel, true);
}

/* False: no offer to watch any more. */
static bool check_channel(struct channel *channel, int64_t now_ms)
{
    if (channel_untaken(channel) == 0) {
        on_taken(channel);
        return false;
    }
    int64_t age_ms = measure_age(channel, now_ms);
    /* --balance source: the connection waits for its worker, however long. */
    if (age_ms >= broker.config.accept_timeout_ms && broker.config.balance != BALANCE_SOURCE &&
        !take_must_leave(channel, now_ms))
        on_overdue(channel, now_ms, age_ms);
    return true;
}

static void on_recall_check(struct loop_timer *timer)
{
    struct listener *listener = loop_container(timer, struct listener, recall.check);
    struct channel *channel = TAILQ_FIRST(&listener->outstanding);
    int64_t now_ms = loop_now_ms();
    int64_t oldest_ms = now_ms;

    watchdog_poke();
    listener_poll_expect(listener);
    while (channel) {
        struct channel *next = TAILQ_NEXT(channel, outstanding);
        if (!check_channel(channel, now_ms))
            channel_set_outstanding(channel, false);
        else if (channel->recall.sent_at_ms < oldest_ms)
            oldest_ms = channel->recall.sent_at_ms;
        channel = next;
    }
    if (!TAILQ_EMPTY(&listener->recallable))
        listener_pump(listener);
    if (TAILQ_EMPTY(&listener->outstanding) || loop_timer_runs(timer))
        return;
    /* Looks more and more rarely: a worker that goes idle tells us anyway. */
    int64_t delay_ms = now_ms - oldest_ms;
    if (delay_ms < broker.config.accept_timeout_ms)
        delay_ms = broker.config.accept_timeout_ms;
    loop_start_timer(timer, delay_ms < CHECK_MAX_MS ? delay_ms : CHECK_MAX_MS);
}

void recall_init(struct listener *listener)
{
    listener->recall.check.on_time = on_recall_check;
}

void recall_finish(struct listener *listener)
{
    loop_stop_timer(&listener->recall.check);
}

void recall_all_of(struct worker *worker)
{
    struct channel *channel;

    LIST_FOREACH(channel, &worker->channels, of_worker)
        if (channel_untaken(channel) > 0)
            channel_set_recallable(channel, true);
    listener_pump_all();
}
