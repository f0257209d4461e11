/* children.c - see children.h. */
#include "broker/life/children.h"

#include <signal.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/base/broker.h"
#include "broker/base/journal.h"
#include "broker/base/log.h"
#include "broker/base/procfs.h"
#include "broker/diagnose/procnet.h"
#include "broker/handout/recall.h"
#include "broker/life/descendants.h"
#include "broker/life/fleet.h"
#include "broker/life/stop.h"
#include "broker/pool/listener.h"
#include "broker/pool/path.h"
#include "broker/pool/worker.h"

#define KILL_AFTER_MS 5000 /* what does not end on TERM */
#define LOOK_MS 100        /* between looks at those that were let finish */
#define TOLD_MAX 256

static bool (*on_other_child)(const siginfo_t *info);

/*
 * Leftovers: processes that outlived their worker. Those of a drained worker may serve what they
 * have until the deadline, and get TERM when they have nothing; all others get it at once.
 */
static struct loop_timer leftover_timer;
static int64_t finish_by_ms;
static int64_t kill_at_ms;
static pid_t told[TOLD_MAX]; /* that got TERM */
static unsigned told_count;

static bool was_told(pid_t pid)
{
    for (unsigned i = 0; i < TOLD_MAX; i++)
        if (told[i] == pid)
            return true;
    return false;
}

static void tell(pid_t pid)
{
    if (was_told(pid))
        return;
    told[told_count++ % TOLD_MAX] = pid;
    kill_at_ms = loop_now_ms() + KILL_AFTER_MS;
    kill(pid, SIGTERM);
}

/* The number may be another's next time. */
static void forget(pid_t pid)
{
    for (unsigned i = 0; i < TOLD_MAX; i++)
        if (told[i] == pid)
            told[i] = 0;
}

static void visit_leftover(pid_t pid, void *found)
{
    if (!descendants_is_leftover(pid))
        return;
    *(bool *)found = true;
    if (was_told(pid) && loop_now_ms() >= kill_at_ms)
        kill(pid, SIGKILL);
    else if (stop_is_under_way() || loop_now_ms() >= finish_by_ms || !procnet_has_connection(pid))
        tell(pid);
}

static void on_leftover_timer(struct loop_timer *timer)
{
    bool found = false;

    procfs_each_child(getpid(), visit_leftover, &found);
    if (found && !stop_is_under_way())
        loop_start_timer(timer, LOOK_MS);
}

/* Grandchildren that outlived a worker get TERM, and KILL if that does not help; not before those
 * of a drained worker have had their time. During a stop all are told at once, and what does not
 * end is killed by stop.c. */
static void look_at_leftovers(void)
{
    bool found = false;

    leftover_timer.on_time = on_leftover_timer;
    if (stop_is_under_way())
        procfs_each_child(getpid(), visit_leftover, &found);
    else
        loop_start_timer(&leftover_timer, 0);
}

/* Those of a drained worker may serve what they have, for as long as --stop-timeout says. */
static void let_leftovers_finish(void)
{
    finish_by_ms = loop_now_ms() + (int64_t)broker.config.stop_timeout_s * 1000;
    look_at_leftovers();
}

static void on_child_end(const siginfo_t *info)
{
    struct worker *worker = worker_find_by_pid(info->si_pid);

    if (!worker && (path_on_child_end(info) || on_other_child(info)))
        return;
    if (!worker) {
        forget(info->si_pid);
        look_at_leftovers();
        return;
    }
    bool ended_well = info->si_code == CLD_EXITED && info->si_status == 0;
    pid_t heir = ended_well && !stop_is_under_way() && worker->state != WORKER_DRAINING
                     ? descendants_find(worker)
                     : 0;
    if (heir) { /* it went into the background */
        log_debug("worker %u goes on as pid %d", worker->slot, (int)heir);
        worker_set_pid(worker, heir);
        return;
    }
    bool was_draining = worker->state == WORKER_DRAINING && !stop_is_under_way();
    fleet_on_end(worker, info);
    if (was_draining)
        let_leftovers_finish();
    else
        look_at_leftovers();
}

static void on_child_stopped(pid_t pid, bool stopped)
{
    struct worker *worker = worker_find_by_pid(pid);
    struct channel *channel;

    if (!worker)
        return;
    worker_set_stopped(worker, stopped);
    log_debug("worker %u was %s", worker->slot,
              stopped ? "stopped; its offers go to others" : "continued");
    if (stopped) {
        recall_all_of(worker);
        return;
    }
    LIST_FOREACH(channel, &worker->channels, of_worker)
        if (channel->listening && !channel->closed)
            channel_set_woken(channel, true);
    listener_pump_all();
}

void children_init(bool (*on_other)(const siginfo_t *info))
{
    on_other_child = on_other;
}

void children_on_signal(void)
{
    siginfo_t info;

    for (;;) {
        info.si_pid = 0;
        if (waitid(P_ALL, 0, &info, WEXITED | WSTOPPED | WCONTINUED | WNOHANG) < 0 ||
            info.si_pid == 0)
            break;
        if (info.si_code == CLD_STOPPED || info.si_code == CLD_TRAPPED)
            on_child_stopped(info.si_pid, true);
        else if (info.si_code == CLD_CONTINUED)
            on_child_stopped(info.si_pid, false);
        else
            on_child_end(&info);
    }
    stop_check();
}
