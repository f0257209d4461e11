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
#include "broker/handout/recall.h"
#include "broker/life/fleet.h"
#include "broker/life/heirs.h"
#include "broker/life/stop.h"
#include "broker/pool/listener.h"
#include "broker/pool/path.h"
#include "broker/pool/worker.h"

#define KILL_AFTER_MS 5000 /* what does not end on TERM */

static bool (*on_other_child)(const siginfo_t *info);

static struct loop_timer leftover_timer;
static bool leftovers_were_told;

struct leftover_search {
    int number;
    bool found;
};

static void visit_leftover(pid_t pid, void *context)
{
    struct leftover_search *search = context;

    if (!heirs_is_leftover(pid))
        return;
    search->found = true;
    kill(pid, search->number);
}

/* TERM to those that were let finish, KILL to those that got it before. */
static void on_leftover_timer(struct loop_timer *timer)
{
    struct leftover_search search = {.number = leftovers_were_told ? SIGKILL : SIGTERM};

    procfs_each_child(getpid(), visit_leftover, &search);
    leftovers_were_told = true;
    if (search.found)
        loop_start_timer(timer, KILL_AFTER_MS);
}

static void look_again_after(int64_t delay_ms)
{
    leftover_timer.on_time = on_leftover_timer;
    if (!loop_timer_runs(&leftover_timer))
        loop_start_timer(&leftover_timer, delay_ms);
}

/* Grandchildren that outlived their worker get TERM, and KILL if that does not help. */
static void end_leftovers(void)
{
    struct leftover_search search = {.number = SIGTERM};

    procfs_each_child(getpid(), visit_leftover, &search);
    leftovers_were_told = true;
    if (search.found && !stop_is_under_way())
        look_again_after(KILL_AFTER_MS);
}

/* Those of a drained worker may serve what they have, for as long as --grace says. */
static void let_leftovers_finish(void)
{
    leftovers_were_told = false;
    look_again_after((int64_t)broker.config.grace_s * 1000);
}

static void on_child_end(const siginfo_t *info)
{
    struct worker *worker = worker_find_by_pid(info->si_pid);

    if (!worker && (path_on_child_end(info) || on_other_child(info)))
        return;
    if (!worker) {
        if (!loop_timer_runs(&leftover_timer))
            end_leftovers();
        return;
    }
    bool ended_well = info->si_code == CLD_EXITED && info->si_status == 0;
    pid_t heir = ended_well && !stop_is_under_way() && worker->state != WORKER_DRAINING
                     ? heirs_find(worker)
                     : 0;
    if (heir) { /* it went into the background */
        log_debug("worker %u goes on as pid %d", worker->slot, (int)heir);
        worker_set_pid(worker, heir);
        return;
    }
    heirs_note_end(worker);
    bool was_draining = worker->state == WORKER_DRAINING && !stop_is_under_way();
    fleet_on_end(worker, info);
    if (was_draining)
        let_leftovers_finish();
    else
        end_leftovers();
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
        recall_strand(worker);
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
