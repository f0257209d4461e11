/* elastic.c - see elastic.h. */
#include "broker/operate/steer/elastic.h"

#include <stdio.h>

#include "broker/base/broker.h"
#include "broker/base/log.h"
#include "broker/base/loop.h"
#include "broker/life/restart.h"
#include "broker/life/slot.h"
#include "broker/life/stop.h"
#include "broker/operate/steer/scale.h"
#include "broker/pool/listener.h"

static struct loop_timer look_timer;
static int64_t spare_since_ms;

unsigned elastic_decide(const struct elastic_rule *rule, const struct elastic_look *look,
                        int64_t *since_ms)
{
    bool is_long = look->now_ms - *since_ms >= rule->idle_ms;
    unsigned wanted = look->workers;

    if (!look->settles && look->waited && wanted < rule->high)
        wanted++;
    else if (!look->settles && look->idle && is_long && wanted > rule->low)
        wanted--;
    if (!look->idle || wanted != look->workers)
        *since_ms = look->now_ms;
    return wanted;
}

/*
 * The queue is served in order: if fewer connections were accepted since the last look than were in
 * it then, one of those has waited since.
 */
static bool has_waited(struct listener *listener)
{
    uint64_t accepted = listener_totals(listener).connections;
    int queued = listener_queued(listener, &(int){0});
    bool waited = queued > 0 && listener->elastic.queued > 0 &&
                  accepted - listener->elastic.accepted < (uint64_t)listener->elastic.queued;

    listener->elastic.queued = queued;
    listener->elastic.accepted = accepted;
    return waited;
}

static bool any_has_waited(void)
{
    struct listener *listener;
    bool waited = false;

    TAILQ_FOREACH(listener, &listeners, all)
        waited |= has_waited(listener);
    return waited;
}

static bool is_any_idle(void)
{
    for (unsigned i = 0; i < runtime.workers && i < slot_count(); i++) {
        const struct worker *worker = slot_at(i)->worker;
        if (worker && worker->state == WORKER_READY && !worker->held && worker_is_at_rest(worker) &&
            !worker_is_busy(worker))
            return true;
    }
    return false;
}

static void set_number(unsigned number)
{
    bool grows = number > runtime.workers;
    char text[16];

    snprintf(text, sizeof text, "%u", number);
    log_info("%s: workers from now on: %u (--workers %u..%u)",
             grows ? "connections wait for longer than --scale-after"
                   : "workers are idle for --scale-idle",
             number, broker.config.workers, broker.config.workers_max);
    scale_begin(text, true, NULL);
}

static void review(void)
{
    const struct config *config = &broker.config;
    const struct elastic_rule rule = {config->workers, config->workers_max,
                                      (int64_t)config->scale_idle_s * 1000};
    const struct elastic_look look = {
        .workers = runtime.workers,
        .waited = any_has_waited(),
        .idle = is_any_idle(),
        .settles = slot_count_ready() < runtime.workers || restart_is_under_way(),
        .now_ms = loop_now_ms(),
    };

    unsigned wanted = elastic_decide(&rule, &look, &spare_since_ms);
    if (wanted != runtime.workers)
        set_number(wanted);
}

static void on_look(struct loop_timer *timer)
{
    if (stop_is_under_way() || !broker.config.workers_max)
        return;
    review();
    loop_start_timer(timer, broker.config.scale_after_ms);
}

void elastic_begin(void)
{
    if (!broker.config.workers_max || loop_timer_runs(&look_timer))
        return;
    spare_since_ms = loop_now_ms();
    look_timer.on_time = on_look;
    loop_start_timer(&look_timer, broker.config.scale_after_ms);
}
