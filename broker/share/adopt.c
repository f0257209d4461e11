/* adopt.c - see adopt.h. These processes are not our children: a pidfd reports their end, but not
 * how they ended. */
#include "broker/share/adopt.h"

#include <stdlib.h>
#include <unistd.h>

#include "broker/base/broker.h"
#include "broker/base/log.h"
#include "broker/base/process/procfs.h"
#include "broker/life/children.h"
#include "broker/life/drain.h"
#include "broker/life/fleet.h"
#include "broker/life/begin/start.h"
#include "broker/life/stop.h"

#define STOPPED_LOOK_MS 100

/* --- workers that join --- */

/* A process that is not our child has ended; how is not known. */
static void on_pidfd_ready(struct loop_fd *watch, uint32_t events)
{
    struct worker *worker = loop_container(watch, struct worker, pidfd_watch);
    siginfo_t unknown = {.si_pid = worker->pid, .si_code = 0};

    (void)events;
    children_on_worker_end(worker, &unknown);
    stop_check();
}

static struct slot *free_slot(void)
{
    for (unsigned i = runtime.workers; i < slot_count(); i++)
        if (!slot_at(i)->worker)
            return slot_at(i);
    return slot_count() < CONFIG_WORKERS_MAX ? slot_add() : NULL;
}

struct worker *adopt_joiner(pid_t pid)
{
    /* A forked child of a worker that joined belongs to it. */
    for (pid_t ancestor = pid; ancestor > 1; ancestor = procfs_parent(ancestor)) {
        struct worker *worker = worker_find_by_pid(ancestor);
        if (worker)
            return worker;
    }
    struct slot *slot = stop_is_under_way() ? NULL : free_slot();
    struct worker *worker = slot ? worker_create(slot->id) : NULL;
    if (!worker)
        return NULL;
    worker->joined = true;
    worker_set_pid(worker, pid);
    if (worker_watch_pid(worker, on_pidfd_ready) < 0) {
        worker_bury(worker);
        return NULL;
    }
    slot->worker = worker;
    slot_set_held(slot, false);
    log_debug("pid %d joins as worker %u", (int)pid, slot->id);
    return worker;
}

/* --- workers of another broker --- */

void adopt_slot(unsigned id, unsigned restarts, unsigned failures, uint64_t accepted)
{
    while (slot_count() <= id)
        if (!slot_add())
            abort();
    slot_at(id)->restarts = restarts;
    slot_at(id)->failures = failures;
    slot_at(id)->accepted = accepted;
}

/* No signal reports that a process continues which is not our child. Workers that are stopped later
 * are found by their untaken offers. */
static void look_at_stopped(struct loop_timer *timer)
{
    struct worker *worker;
    bool any = false;

    LIST_FOREACH(worker, &workers, all) {
        if (worker->pidfd_watch.fd < 0 || !worker->stopped || worker->state == WORKER_GONE)
            continue;
        if (procfs_is_stopped(worker->pid))
            any = true;
        else
            children_note_stopped(worker, false);
    }
    if (any)
        loop_start_timer(timer, STOPPED_LOOK_MS);
}

static void note_whether_stopped(struct worker *worker)
{
    static struct loop_timer timer;

    if (worker->stopped != procfs_is_stopped(worker->pid))
        worker_set_stopped(worker, !worker->stopped);
    timer.on_time = look_at_stopped;
    if (worker->stopped && !loop_timer_runs(&timer))
        loop_start_timer(&timer, STOPPED_LOOK_MS);
}

bool adopt_worker(struct worker *worker)
{
    siginfo_t unknown = {.si_pid = worker->pid, .si_code = 0};
    bool is_child = procfs_parent(worker->pid) == getpid();

    /* The pidfd first: what it refers to now cannot be replaced by another process any more. */
    bool is_watched = is_child || worker_watch_pid(worker, on_pidfd_ready) == 0;
    if (is_watched && worker_is_itself(worker)) {
        note_whether_stopped(worker);
        if (worker->state == WORKER_STARTING)
            start_watch(worker);
        return true;
    }
    children_on_worker_end(worker, &unknown);
    return false;
}

/* It is beyond the number that is wanted now. */
static void give_up_slot(struct slot *slot)
{
    struct worker *successor = slot->successor;

    slot->successor = NULL;
    if (successor)
        drain_begin(successor);
    if (slot->worker && !slot->worker->joined)
        drain_begin(slot->worker);
}

void adopt_finish(void)
{
    for (unsigned i = 0; i < runtime.workers; i++) {
        adopt_slot(i, i < slot_count() ? slot_at(i)->restarts : 0,
                   i < slot_count() ? slot_at(i)->failures : 0,
                   i < slot_count() ? slot_at(i)->accepted : 0);
        if (!slot_at(i)->worker && !slot_at(i)->successor && !loop_timer_runs(&slot_at(i)->respawn))
            fleet_fill(slot_at(i));
    }
    for (unsigned i = runtime.workers; i < slot_count(); i++)
        give_up_slot(slot_at(i));
    fleet_resume_readiness();
}
