/* watchdog.c - see watchdog.h. */
#include "broker/handout/watchdog.h"

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "broker/base/broker.h"
#include "broker/base/log.h"
#include "broker/base/loop.h"
#include "broker/pool/listener.h"
#include "broker/pool/worker.h"

#define LOOKS 4 /* within the shorter of the two times */

static struct loop_timer timer;

static int64_t look_ms(void)
{
    unsigned warn_s = broker.config.stuck_warn_s;
    unsigned kill_s = broker.config.stuck_kill_s;
    unsigned shorter_s = kill_s && (!warn_s || kill_s < warn_s) ? kill_s : warn_s;

    return (int64_t)shorter_s * 1000 / LOOKS;
}

static void judge(struct worker *worker)
{
    int64_t still_ms = loop_now_ms() - worker->moved_ms;
    int64_t warn_ms = (int64_t)broker.config.stuck_warn_s * 1000;
    int64_t kill_ms = (int64_t)broker.config.stuck_kill_s * 1000;
    const struct log_fact *facts =
        LOG_FACTS(LOG_NUMBER("worker", worker->slot), LOG_NUMBER("pid", worker->pid),
                  LOG_NUMBER("stuck_s", still_ms / 1000));

    if (kill_ms && still_ms >= kill_ms) {
        log_event(LOG_LEVEL_QUIET, LOG_WORKER_STUCK, facts,
                  "worker %u (pid %d) has been stuck for %d s; killing it", worker->slot,
                  (int)worker->pid, (int)(still_ms / 1000));
        worker->asked_end = WORKER_END_STUCK;
        worker_signal(worker, SIGKILL);
    } else if (warn_ms && still_ms >= warn_ms && !worker->stuck) {
        worker->stuck = true;
        log_event(
            LOG_LEVEL_QUIET, LOG_WORKER_STUCK, facts,
            "worker %u (pid %d) has been stuck for %d s: it neither waits nor accepts; see what "
            "it does (strace -p), or let --stuck-kill replace it",
            worker->slot, (int)worker->pid, (int)(still_ms / 1000));
    }
}

/* Whether it has to be looked at again. */
static bool look_at(struct worker *worker)
{
    uint64_t motion = worker_motion(worker);

    if (motion != worker->seen_motion || !worker_is_busy(worker)) {
        if (worker->stuck)
            log_info("worker %u (pid %d) is not stuck any more", worker->slot, (int)worker->pid);
        worker->stuck = false;
        worker->seen_motion = motion;
        worker->moved_ms = loop_now_ms();
    } else {
        judge(worker);
    }
    return worker_is_busy(worker);
}

static void on_time(struct loop_timer *expired)
{
    struct worker *worker;
    bool again = false;

    LIST_FOREACH(worker, &workers, all)
        if (worker->state == WORKER_READY && look_at(worker))
            again = true;
    if (again)
        loop_start_timer(expired, look_ms());
}

void watchdog_poke(void)
{
    struct worker *worker;

    if (loop_timer_runs(&timer) || look_ms() == 0)
        return;
    LIST_FOREACH(worker, &workers, all)
        worker->moved_ms = loop_now_ms();
    timer.on_time = on_time;
    loop_start_timer(&timer, look_ms());
}
