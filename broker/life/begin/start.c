/* start.c - see start.h. */
#include "broker/life/begin/start.h"

#include "broker/base/broker.h"
#include "broker/base/log.h"
#include "broker/base/turn.h"
#include "broker/diagnose/preload_check.h"
#include "broker/life/begin/readiness.h"

#define FIRST_LOOK_MS 1000 /* before that a loader may not have come to the library */
#define LOOK_MS 5000       /* between the looks after that */
#define SLOW_MS 5000       /* after which it is said what is waited for */
#define AGAIN_FOR_MS 5000  /* beyond the timeout, if there was no time to look at all */
#define CONFIRM_MS 200     /* a process in the middle of exec looks as if it lacked the library */

static struct start_events events;

void start_init(const struct start_events *what)
{
    events = *what;
}

static bool runs_the_command(const struct worker *worker)
{
    return worker->exec_watch.fd < 0;
}

/* Once: the others are most likely slow for the same reason. */
static void tell_slow(const struct worker *worker)
{
    static bool told;

    if (told || loop_now_ms() - worker->started_ms < SLOW_MS)
        return;
    told = true;
    log_info("still starting: worker %u (pid %d) %s; waiting for up to %u s (--start-timeout)",
             worker->slot, (int)worker->pid,
             worker->readiness.listened_ms > 0 ? readiness_describe() : "does not listen yet",
             broker.config.start_timeout_s);
}

static bool is_past(const struct worker *worker, struct preload_check_report *report)
{
    if (worker->has_asked || worker_is_notified(worker) || !runs_the_command(worker))
        return false;
    turn_allow_more(); /* the last look may have used up the turn's time */
    return preload_check_is_past(worker->pid, report);
}

static void look(struct worker *worker)
{
    struct preload_check_report report;
    int64_t left_ms =
        worker->started_ms + (int64_t)broker.config.start_timeout_s * 1000 - loop_now_ms();
    int64_t next_ms = LOOK_MS;
    bool last = left_ms <= 0;

    if (worker->look_was_cut)
        turn_allow_more();
    bool lacks_it = preload_check_is_missing(worker->pid, last, &report);
    worker->look_was_cut = report.is_cut;
    if (report.is_cut && left_ms > -AGAIN_FOR_MS) {
        loop_start_timer(&worker->start_timer, CONFIRM_MS);
        return;
    }
    if (lacks_it && !worker_is_notified(worker) && (last || runs_the_command(worker))) {
        if (worker->missed_looks++ > 0) {
            events.on_unfit(worker, &report);
            return;
        }
        next_ms = CONFIRM_MS;
    } else if (!last && is_past(worker, &report)) {
        if (worker->missed_looks++ == 0)
            next_ms = CONFIRM_MS;
        else if (worker->missed_looks == 2 && events.on_past(worker, &report))
            return;
    } else {
        worker->missed_looks = 0;
    }
    if (!last)
        tell_slow(worker);
    if (last && !(lacks_it && worker->missed_looks > 0))
        events.on_time_over(worker, report.listens_on);
    else
        loop_start_timer(&worker->start_timer, last || next_ms < left_ms ? next_ms : left_ms);
}

/* If many start at once, this turn looks at some of them: their requests come first. */
static void on_look(struct loop_timer *timer)
{
    if (turn_has_time())
        look(loop_container(timer, struct worker, start_timer));
    else
        loop_start_timer(timer, 0);
}

void start_watch(struct worker *worker)
{
    worker->start_timer.on_time = on_look;
    worker->missed_looks = 0;
    loop_start_timer(&worker->start_timer, FIRST_LOOK_MS);
}

void start_hurry(void)
{
    struct worker *worker;

    LIST_FOREACH(worker, &workers, all)
        if (worker->state == WORKER_STARTING && worker->missed_looks == 0 &&
            loop_timer_runs(&worker->start_timer))
            loop_start_timer(&worker->start_timer, 0);
}
