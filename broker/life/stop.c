/* stop.c - see stop.h. */
#include "broker/life/stop.h"

#include <signal.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/base/broker.h"
#include "broker/base/journal.h"
#include "broker/base/log.h"
#include "broker/base/process/deputy.h"
#include "broker/base/process/procfs.h"
#include "broker/base/process/signal.h"
#include "broker/handout/handout.h"
#include "broker/life/descendants.h"
#include "broker/life/slot.h"
#include "broker/pool/listener.h"
#include "broker/pool/path.h"
#include "broker/pool/worker.h"

#define REAP_MS 50 /* between rounds of KILL: what was a grandchild is a child then */

/* From the first KILL on: what has not ended then waits in the kernel. */
#define UNKILLABLE_MS 5000

static bool stopping;
static int64_t killing_since_ms; /* 0: not yet */
static int exit_code;
static struct loop_timer grace_timer;
static struct loop_timer shut_timer;
static struct loop_timer lame_duck_timer;

/* --handoff direct: the workers get TERM first. If the shutdown woke a thread just when TERM came,
 * the thread would go back to waiting and never act on TERM. */
#define SHUT_AFTER_MS 100

bool stop_is_announced(void)
{
    return stopping || loop_timer_runs(&lame_duck_timer);
}

bool stop_is_under_way(void)
{
    return stopping;
}

int stop_exit_code(void)
{
    return exit_code;
}

/* The children first: if a process that is not our child ends, its children do not come to us. */
static void signal_tree(pid_t root, int number)
{
    struct procfs_list tree;

    procfs_list_tree(root, &tree);
    while (tree.count > 0)
        signal_process(tree.at[--tree.count], number);
}

/* Orphans that became our children. The next round finds those that are too many for this one. */
static void signal_orphans(int number)
{
    struct procfs_list children;

    procfs_list_children(getpid(), &children);
    for (unsigned i = 0; i < children.count; i++)
        if (!descendants_is_known(children.at[i]))
            signal_process(children.at[i], number);
}

void stop_tell_heir(const struct worker *worker)
{
    if (stopping)
        signal_tree(worker->pid, killing_since_ms ? SIGKILL : SIGTERM);
}

static void signal_everyone(int number)
{
    struct worker *worker;

    LIST_FOREACH(worker, &workers, all) {
        if (worker->state == WORKER_GONE)
            continue;
        if (number == SIGTERM && !worker->joined)
            descendants_signal_servers(worker, number);
        else if (worker->pidfd_watch.fd >= 0)
            signal_tree(worker->pid, number);
        else
            worker_signal(worker, number);
    }
    signal_orphans(number);
}

/* False for a helper, dead or alive: no signal reports its end, so waitid(2) does not count it. */
static bool is_child(idtype_t which, pid_t pid)
{
    siginfo_t info;

    return waitid(which, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

/* But for those who help us. A deputy that does all is one that waitid(2) counts. */
static bool has_children(void)
{
    struct procfs_list children;

    if (!is_child(P_ALL, 0))
        return false;
    if (!deputy_runs())
        return true;
    procfs_list_children(getpid(), &children);
    for (unsigned i = 0; i < children.count; i++)
        if (is_child(P_PID, children.at[i]) &&
            (!descendants_is_known(children.at[i]) || worker_find_by_pid(children.at[i]) ||
             path_is_removal(children.at[i])))
            return true;
    return !children.is_whole;
}

static bool has_other_workers(void)
{
    struct worker *worker;

    LIST_FOREACH(worker, &workers, all)
        if (worker->pidfd_watch.fd >= 0 && worker->state != WORKER_GONE)
            return true;
    return false;
}

void stop_check(void)
{
    if (stopping && !has_children() && !has_other_workers() && !descendants_are_elsewhere())
        loop_quit();
}

static void kill_leftover(pid_t pid, int64_t finish_by_ms)
{
    (void)finish_by_ms;
    descendants_signal(pid, SIGKILL);
}

static void begin_killing(void)
{
    if (!killing_since_ms)
        killing_since_ms = loop_now_ms();
}

static void on_grace_over(struct loop_timer *timer)
{
    if (!killing_since_ms)
        log_info("workers did not end in %u s; killing them", broker.config.stop_timeout_s);
    begin_killing();
    signal_everyone(SIGKILL);
    descendants_each_leftover(kill_leftover);
    loop_start_timer(timer, REAP_MS);
    stop_check();
    if (loop_now_ms() - killing_since_ms < UNKILLABLE_MS)
        return;
    log_error("processes do not end on SIGKILL, as where a file system does not answer; leaving "
              "them behind: ps shows them in state D");
    loop_quit();
}

static void on_shut_time(struct loop_timer *timer)
{
    struct listener *listener;

    (void)timer;
    TAILQ_FOREACH(listener, &listeners, all)
        handout_shut(listener);
}

void stop_begin(int code)
{
    struct worker *worker;

    if (stopping) {
        begin_killing();
        on_grace_over(&grace_timer);
        return;
    }
    stopping = true;
    loop_stop_timer(&lame_duck_timer);
    journal_touch();
    exit_code = code == EXIT_STOPPED ? slot_failure_status() : code;
    log_event(LOG_LEVEL_VERBOSE, LOG_STOP, LOG_FACTS(LOG_NUMBER("exit_code", exit_code)),
              "stopping");
    shut_timer.on_time = on_shut_time;
    if (runtime.handoff == HANDOFF_DIRECT)
        loop_start_timer(&shut_timer, SHUT_AFTER_MS);
    else
        on_shut_time(&shut_timer);
    LIST_FOREACH(worker, &workers, all)
        if (worker->state != WORKER_GONE) {
            worker_ask_end(worker, WORKER_END_OPERATOR);
            worker_set_state(worker, WORKER_DRAINING);
            worker_tell_over(worker);
            loop_stop_timer(&worker->start_timer);
        }
    deputy_end(); /* no worker is started any more */
    signal_everyone(SIGTERM);
    grace_timer.on_time = on_grace_over;
    loop_start_timer(&grace_timer, (int64_t)broker.config.stop_timeout_s * 1000);
    stop_check();
}

static void on_lame_duck_over(struct loop_timer *timer)
{
    (void)timer;
    stop_begin(exit_code);
}

void stop_announce(int code)
{
    if (broker.config.lame_duck_s == 0 || stop_is_announced()) {
        stop_begin(code);
        return;
    }
    exit_code = code;
    log_info("no more clients should be sent here; connections are taken for %u s more "
             "(--lame-duck)",
             broker.config.lame_duck_s);
    lame_duck_timer.on_time = on_lame_duck_over;
    loop_start_timer(&lame_duck_timer, (int64_t)broker.config.lame_duck_s * 1000);
    journal_touch();
}
