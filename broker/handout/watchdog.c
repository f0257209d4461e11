/* watchdog.c - see watchdog.h. */
#include "broker/handout/watchdog.h"

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "broker/base/broker.h"
#include "broker/base/log.h"
#include "broker/base/loop.h"
#include "broker/base/process/glance.h"
#include "broker/base/process/procfs.h"
#include "broker/base/process/signal.h"
#include "broker/diagnose/clients.h"
#include "broker/pool/listener.h"
#include "broker/pool/worker.h"

#define LOOKS 4 /* within the shorter of the two times */
#define LAUNCHERS_MAX 4
#define PERIOD_MIN_MS 20 /* from one worker with a filter to the next */

static struct loop_timer timer;

static int64_t look_ms(void)
{
    unsigned warn_s = broker.config.stuck_warn_s;
    unsigned kill_s = broker.config.stuck_kill_s;
    unsigned shorter_s = kill_s && (!warn_s || kill_s < warn_s) ? kill_s : warn_s;

    return (int64_t)shorter_s * 1000 / LOOKS;
}

/* server: the worker's process, or one that it has started and waits for. */
static void judge(struct worker *worker, pid_t server)
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
        if (server != worker->pid)
            signal_process(server, SIGKILL);
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

static void note_move(struct worker *worker, uint64_t motion)
{
    if (worker->stuck)
        log_info("worker %u (pid %d) is not stuck any more", worker->slot, (int)worker->pid);
    worker->stuck = false;
    worker->seen_motion = motion;
    worker->moved_ms = loop_now_ms();
}

/* Whether it has to be looked at again. */
static bool look_at(struct worker *worker)
{
    uint64_t motion = worker_motion(worker);

    if (motion != worker->seen_motion || !worker_is_busy(worker))
        note_move(worker, motion);
    else
        judge(worker, worker->pid);
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

/* --- workers with a filter --- */

static bool has_listener(const struct worker *worker, pid_t pid)
{
    const struct channel *channel;
    struct stat info;

    LIST_FOREACH(channel, &worker->channels, of_worker)
        if (fstat(channel->listener->canonical_fd, &info) == 0 &&
            procfs_find_socket(pid, info.st_ino) >= 0)
            return true;
    return false;
}

/* Below launchers that wait for it, as sudo does: what waits there is not the server. */
static pid_t find_server(const struct worker *worker)
{
    struct procfs_list children;
    pid_t pid = worker->pid;

    for (int depth = 0; depth <= LAUNCHERS_MAX; depth++) {
        if (has_listener(worker, pid))
            return pid;
        procfs_list_children(pid, &children);
        if (!children.is_whole || children.count != 1)
            break;
        pid = children.at[0];
    }
    return worker->pid;
}

/* How often its threads, and those of what it has started, have left a processor. 0: not known, or
 * one runs or waits for events. */
static uint64_t count_switches(pid_t server)
{
    struct procfs_list tree;
    uint64_t sum = 1;
    uint64_t switches;

    procfs_list_tree(server, &tree);
    if (!tree.is_whole || tree.count > CLIENTS_PROCESSES_MAX)
        return 0;
    for (unsigned i = 0; i < tree.count; i++) {
        if (!glance_count_switches(tree.at[i], &switches))
            return 0;
        sum += switches;
    }
    return sum;
}

static bool is_queued_for(const struct worker *worker)
{
    const struct channel *channel;

    LIST_FOREACH(channel, &worker->channels, of_worker) {
        struct pollfd queue = {.fd = channel->listener->canonical_fd, .events = POLLIN};
        if (channel->listening && !channel->closed && poll(&queue, 1, 0) == 1 &&
            (queue.revents & POLLIN))
            return true;
    }
    return false;
}

/* Else the clients in the queue may be new at each look. */
static bool do_all_sleep(void)
{
    const struct worker *worker;

    LIST_FOREACH(worker, &workers, all)
        if (worker->state == WORKER_READY && !worker->sleeps)
            return false;
    return true;
}

/* Whether somebody waits for this worker. One that was stopped owes each client something. */
static bool has_work(const struct worker *worker)
{
    return (worker->stopped ? clients_count(worker) > 0 : clients_have_spoken(worker)) ||
           (do_all_sleep() && is_queued_for(worker));
}

static void look_from_outside(struct worker *worker)
{
    pid_t server = find_server(worker);
    uint64_t switches = count_switches(server);

    worker->sleeps = switches && switches == worker->seen_motion;
    if (worker->sleeps && has_work(worker))
        judge(worker, server);
    else
        note_move(worker, switches);
}

/* The one that was looked at longest ago, or NULL. */
static struct worker *find_next(int64_t *count)
{
    struct worker *worker;
    struct worker *next = NULL;

    *count = 0;
    LIST_FOREACH(worker, &workers, all) {
        if (worker->state != WORKER_READY || !worker_is_notified(worker))
            continue;
        ++*count;
        if (!next || worker->looked_ms < next->looked_ms)
            next = worker;
    }
    return next;
}

/* One at a time: a turn of the loop has no time for all. */
static void on_next(struct loop_timer *expired)
{
    int64_t count;
    struct worker *next = find_next(&count);
    int64_t period_ms = look_ms() / (count ? count : 1);

    loop_start_timer(expired, period_ms > PERIOD_MIN_MS ? period_ms : PERIOD_MIN_MS);
    if (!next)
        return;
    next->looked_ms = loop_now_ms();
    look_from_outside(next);
}

void watchdog_begin(void)
{
    static struct loop_timer outside = {.on_time = on_next};

    if (broker.config.stuck_kill_s && runtime.intercept == INTERCEPT_SECCOMP)
        loop_start_timer(&outside, PERIOD_MIN_MS);
    else
        loop_stop_timer(&outside);
}
