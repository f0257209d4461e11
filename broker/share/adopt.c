/* adopt.c - see adopt.h. None of these processes is our child: a pidfd tells their end, nobody
 * tells how. */
#include "broker/share/adopt.h"

#include <stdlib.h>
#include <unistd.h>

#include "broker/base/broker.h"
#include "broker/base/log.h"
#include "broker/base/procfs.h"
#include "broker/life/drain.h"
#include "broker/life/fleet.h"
#include "broker/life/start.h"
#include "broker/life/stop.h"

/* --- workers that join --- */

/* A process that is not our child has ended; nobody can tell us how. */
static void on_pidfd_ready(struct loop_watch *watch, uint32_t events)
{
    struct worker *worker = loop_container(watch, struct worker, pidfd_watch);
    siginfo_t unknown = {.si_pid = worker->pid, .si_code = 0};

    (void)events;
    fleet_on_end(worker, &unknown);
    stop_check();
}

static struct fleet_slot *free_slot(void)
{
    for (unsigned i = broker.config.workers; i < fleet_slot_count(); i++)
        if (!fleet_slot(i)->worker)
            return fleet_slot(i);
    return fleet_slot_count() < CONFIG_WORKERS_MAX ? fleet_add_slot() : NULL;
}

struct worker *adopt_joiner(pid_t pid)
{
    /* A forked child of a worker that joined belongs to it. */
    for (pid_t ancestor = pid; ancestor > 1; ancestor = procfs_parent(ancestor)) {
        struct worker *worker = worker_find_by_pid(ancestor);
        if (worker)
            return worker;
    }
    struct fleet_slot *slot = stop_is_under_way() ? NULL : free_slot();
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
    log_debug("pid %d joins as worker %u", (int)pid, slot->id);
    return worker;
}

/* --- workers of another broker --- */

void adopt_slot(unsigned id, unsigned restarts, unsigned failures, uint64_t accepted)
{
    while (fleet_slot_count() <= id)
        if (!fleet_add_slot())
            abort();
    fleet_slot(id)->restarts = restarts;
    fleet_slot(id)->failures = failures;
    fleet_slot(id)->accepted = accepted;
}

bool adopt_worker(struct worker *worker)
{
    siginfo_t unknown = {.si_pid = worker->pid, .si_code = 0};
    bool is_child = procfs_parent(worker->pid) == getpid();

    if (is_child || worker_watch_pid(worker, on_pidfd_ready) == 0) {
        if (worker->state == WORKER_STARTING)
            start_watch(worker);
        return true;
    }
    fleet_on_end(worker, &unknown);
    return false;
}

void adopt_finish(void)
{
    for (unsigned i = 0; i < broker.config.workers; i++) {
        adopt_slot(i, i < fleet_slot_count() ? fleet_slot(i)->restarts : 0,
                   i < fleet_slot_count() ? fleet_slot(i)->failures : 0,
                   i < fleet_slot_count() ? fleet_slot(i)->accepted : 0);
        if (!fleet_slot(i)->worker && !loop_timer_runs(&fleet_slot(i)->respawn))
            fleet_fill(fleet_slot(i));
    }
    for (unsigned i = broker.config.workers; i < fleet_slot_count(); i++)
        if (fleet_slot(i)->worker && !fleet_slot(i)->worker->joined)
            drain_begin(fleet_slot(i)->worker);
    fleet_resume_readiness();
}
