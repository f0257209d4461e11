/* adopt.c - see adopt.h. These processes are not our children: a pidfd reports their end, but not
 * how they ended. */
#include "broker/share/adopt.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/base/broker.h"
#include "broker/base/log.h"
#include "broker/base/process/procfs.h"
#include "broker/base/turn.h"
#include "broker/life/supervise/children.h"
#include "broker/life/descendants.h"
#include "broker/life/drain.h"
#include "broker/life/supervise/fleet.h"
#include "broker/life/begin/start.h"
#include "broker/life/stop.h"

#define STOPPED_LOOK_MS 100

/* --- the end of a process that is not our child --- */

/* The search for the heir of one worker, which takes as many turns as it needs. */
static struct {
    const struct worker *worker; /* NULL: none is under way */
    DIR *processes;
    pid_t pid; /* of which not all was seen; 0: take the next one */
    int fd;    /* the first of its descriptors that was not */
} search;

static bool visit_link(int fd, const char *link, void *context)
{
    static const char head[] = "socket:[";
    const struct channel *channel;
    bool *is_heir = context;

    (void)fd;
    if (strncmp(link, head, sizeof head - 1) != 0)
        return true;
    ino_t ino = (ino_t)strtoull(link + sizeof head - 1, NULL, 10);
    LIST_FOREACH(channel, &search.worker->channels, of_worker)
        *is_heir |= !channel->closed && channel->their_ino == ino;
    return !*is_heir;
}

/* Whether it has a listener of the worker. False, with search.pid set: the turn has no time. */
static bool is_heir(pid_t pid)
{
    bool is = false;
    bool is_whole = procfs_each_link_from(pid, &search.fd, visit_link, &is);
    bool is_cut = !is && !is_whole;

    search.pid = is_cut ? pid : 0;
    search.fd = is_cut ? search.fd : 0;
    return is;
}

/* The worker has an heir, or is about to be freed: the search for another one may begin. */
static void end_search(const struct worker *worker)
{
    if (search.worker != worker)
        return;
    closedir(search.processes);
    search.worker = NULL;
    search.pid = 0;
    search.fd = 0;
}

/*
 * A worker that joined lasts as long as a process has one of its listeners: servers go into the
 * background after bind(2), and leave the process that asked. *heir: such a process, or 0. False:
 * go on in another turn.
 */
static bool find_heir(const struct worker *worker, pid_t *heir)
{
    *heir = 0;
    if (search.worker && search.worker != worker)
        return false;
    if (!search.worker && !(search.processes = opendir("/proc")))
        return true;
    search.worker = worker;
    pid_t pid;
    while ((pid = search.pid ? search.pid : descendants_next_unknown(search.processes)) > 0) {
        if (!turn_has_time()) {
            search.pid = pid;
            return false;
        }
        if (is_heir(pid)) {
            *heir = pid;
            break;
        }
    }
    end_search(worker);
    return true;
}

static bool may_have_heir(const struct worker *worker)
{
    return worker->joined && !LIST_EMPTY(&worker->channels);
}

static void on_pidfd_ready(struct loop_fd *watch, uint32_t events);

/* False: that one has ended as well. */
static bool go_on_as(struct worker *worker, pid_t heir)
{
    log_debug("worker %u goes on as pid %d", worker->slot, (int)heir);
    worker_set_pid(worker, heir);
    stop_tell_heir(worker);
    return worker_watch_pid(worker, on_pidfd_ready) == 0;
}

/* A process that is not our child has ended; how is not known. It stays readable until the worker
 * is watched as another process, or buried. */
static void on_pidfd_ready(struct loop_fd *watch, uint32_t events)
{
    struct worker *worker = loop_container(watch, struct worker, pidfd_watch);
    siginfo_t unknown = {.si_pid = worker->pid, .si_code = 0};
    pid_t heir = 0;

    (void)events;
    if (may_have_heir(worker) && !find_heir(worker, &heir))
        return;
    if (heir) {
        go_on_as(worker, heir);
        return;
    }
    end_search(worker);
    children_on_worker_end(worker, &unknown);
    stop_check();
}

/* --- workers that join --- */

static struct slot *free_slot(void)
{
    for (unsigned i = runtime.workers; i < slot_count(); i++)
        if (!slot_at(i)->worker)
            return slot_at(i);
    return slot_count() < CONFIG_WORKERS_MAX ? slot_add() : NULL;
}

/* Of its parents, or one that was started by the same program and has left it since, as a daemon
 * does. */
static struct worker *find_relative(pid_t pid, const uint8_t tree[WIRE_TOKEN_SIZE])
{
    static const uint8_t none[WIRE_TOKEN_SIZE];
    struct worker *worker;

    for (pid_t ancestor = pid; ancestor > 1; ancestor = procfs_parent(ancestor))
        if ((worker = worker_find_by_pid(ancestor)) != NULL)
            return worker;
    if (memcmp(tree, none, sizeof none) == 0)
        return NULL;
    LIST_FOREACH(worker, &workers, all)
        if (worker->joined && worker->state != WORKER_GONE &&
            memcmp(worker->token, tree, sizeof worker->token) == 0)
            return worker;
    return NULL;
}

struct worker *adopt_joiner(pid_t pid, const uint8_t tree[WIRE_TOKEN_SIZE])
{
    struct worker *relative = find_relative(pid, tree);

    if (relative)
        return relative;
    struct slot *slot = stop_is_under_way() ? NULL : free_slot();
    struct worker *worker = slot ? worker_create(slot->id) : NULL;
    if (!worker)
        return NULL;
    worker->joined = true;
    memcpy(worker->token, tree, sizeof worker->token);
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
    if (worker->stopped)
        loop_ensure_timer(&timer, STOPPED_LOOK_MS);
}

bool adopt_worker(struct worker *worker)
{
    siginfo_t unknown = {.si_pid = worker->pid, .si_code = 0};
    bool is_child = procfs_parent(worker->pid) == getpid();
    pid_t heir = 0;

    /* The pidfd first: what it refers to now cannot be replaced by another process any more. */
    bool is_watched = is_child || worker_watch_pid(worker, on_pidfd_ready) == 0;
    if (is_watched && worker_is_itself(worker)) {
        note_whether_stopped(worker);
        if (worker->state == WORKER_STARTING)
            start_watch(worker);
        return true;
    }
    if (may_have_heir(worker) && find_heir(worker, &heir) && heir && go_on_as(worker, heir))
        return true;
    end_search(worker);
    /* It had not been forked, as far as the broker before us could tell; or nobody answered it. */
    worker->starts_again = worker->state == WORKER_STARTING &&
                           (worker->pid == 0 || runtime.intercept == INTERCEPT_SECCOMP);
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
        if (!slot_at(i)->worker && !slot_at(i)->successor && !slot_at(i)->has_ended &&
            !loop_timer_runs(&slot_at(i)->respawn))
            fleet_fill(slot_at(i));
    }
    for (unsigned i = runtime.workers; i < slot_count(); i++)
        give_up_slot(slot_at(i));
    fleet_resume_readiness();
    fleet_end_if_empty();
}
