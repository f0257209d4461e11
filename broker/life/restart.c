/*
 * restart.c - see restart.h. The generation of a slot's worker says whether the slot is done, so
 * that the next broker can go on.
 */
#include "broker/life/restart.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "broker/base/broker.h"
#include "broker/base/journal.h"
#include "broker/base/log.h"
#include "broker/life/drain.h"
#include "broker/life/restart/result.h"
#include "broker/life/restart/waiters.h"
#include "broker/life/begin/readiness.h"
#include "broker/life/begin/start.h"
#include "broker/life/stop.h"
#include "broker/life/succession.h"

#define LOOK_MS 20 /* between looks at the successors, and at the old ones */

static struct {
    bool active;
    bool aborted;
    bool again;
    bool recycles; /* no operator has asked for it */
    unsigned parallel;
    unsigned only; /* this slot and 1; 0: all */
    unsigned stop_timeout_s;
    char reason[256];
} restart;

static struct loop_timer look_timer;

static bool is_new(const struct worker *worker)
{
    return worker->generation == slot_generation();
}

/* --- the end of the restart --- */

static bool is_concerned(const struct slot *slot)
{
    return restart.only == 0 || slot->id == restart.only - 1;
}

static unsigned count_concerned(void)
{
    return restart.only == 0 ? runtime.workers : 1;
}

static unsigned count_replaced(void)
{
    unsigned done = 0;

    for (unsigned i = 0; i < runtime.workers; i++) {
        const struct worker *worker = slot_at(i)->worker;
        done +=
            is_concerned(slot_at(i)) && worker && is_new(worker) && worker->state == WORKER_READY;
    }
    return done;
}

static unsigned count_joined(void)
{
    const struct worker *worker;
    unsigned joined = 0;

    LIST_FOREACH(worker, &workers, all)
        joined += restart.only == 0 && worker->joined && worker->state <= WORKER_READY;
    return joined;
}

static void finish(void)
{
    bool again = restart.again;
    unsigned parallel = restart.parallel;

    result_tell(&(struct result_facts){.is_aborted = restart.aborted,
                                       .reason = restart.reason,
                                       .replaced = count_replaced(),
                                       .wanted = count_concerned(),
                                       .joined = count_joined()});
    memset(&restart, 0, sizeof restart);
    journal_touch();
    if (again)
        restart_begin(parallel, false, NULL);
}

static void keep(struct slot *slot, struct worker *successor)
{
    slot->worker = successor;
    if (successor->has_listened && readiness_is_reached(successor))
        slot_mark_ready(slot, successor);
    else
        start_watch(successor);
}

/* Each successor drains; if its slot has no other worker, it serves. */
static void give_up_successors(void)
{
    for (unsigned i = 0; i < runtime.workers; i++) {
        struct slot *slot = slot_at(i);
        struct worker *successor = slot->successor;
        slot->successor = NULL;
        if (successor && slot->worker)
            drain_begin(successor);
        else if (successor)
            keep(slot, successor);
    }
}

static void abort_with(const char *reason)
{
    if (restart.aborted)
        return;
    snprintf(restart.reason, sizeof restart.reason, "%s", reason);
    restart.aborted = true;
    give_up_successors();
    finish();
}

void restart_supersede(const char *reason)
{
    restart.again = false;
    if (restart.active)
        abort_with(reason);
}

/* --- one slot after the other --- */

static void drain_old(struct worker *old)
{
    if (restart.recycles)
        worker_ask_end(old, WORKER_END_RECYCLED);
    worker_set_stop_timeout(old, restart.stop_timeout_s);
    drain_begin(old);
}

static void promote(struct slot *slot)
{
    struct worker *old = slot->worker;

    slot->worker = slot->successor;
    slot->successor = NULL;
    slot->restarts++;
    slot->failures = 0;
    slot->reported = false;
    slot_mark_ready(slot, slot->worker);
    if (old)
        drain_old(old);
}

static bool is_out_of_time(const struct worker *worker)
{
    return loop_now_ms() - worker->started_ms >= (int64_t)broker.config.start_timeout_s * 1000;
}

/* The successor must stay as it is for --settle. */
static void look_at(struct slot *slot)
{
    struct worker *successor = slot->successor;
    char what[160];
    char reason[240];

    if (!succession_is_complete(slot, what, sizeof what)) {
        successor->settles = false;
        if (!is_out_of_time(successor))
            return;
        snprintf(reason, sizeof reason, "after %u s the new copy for slot %u %s",
                 broker.config.start_timeout_s, slot->id, what);
        worker_signal(successor, SIGKILL);
        abort_with(reason);
        return;
    }
    if (!successor->settles)
        successor->settles_from_ms = loop_now_ms();
    successor->settles = true;
    if (loop_now_ms() - successor->settles_from_ms >= (int64_t)broker.config.settle_s * 1000)
        promote(slot);
}

/* False: the restart is over. */
static bool start_successor(struct slot *slot)
{
    slot->successor = slot_start_worker(slot);
    if (slot->successor) {
        loop_stop_timer(&slot->respawn);
        return true;
    }
    abort_with(strerror(errno));
    return false;
}

static bool needs_successor(const struct slot *slot)
{
    return is_concerned(slot) && !slot->successor && (!slot->worker || !is_new(slot->worker));
}

static void step(void)
{
    unsigned running = 0;

    if (restart.active && restart.only > runtime.workers)
        abort_with("the slot was given up by sshim scale");

    for (unsigned i = 0; restart.active && i < runtime.workers; i++)
        if (slot_at(i)->successor)
            look_at(slot_at(i));
    for (unsigned i = 0; restart.active && i < runtime.workers; i++)
        running += slot_at(i)->successor != NULL;
    for (unsigned i = 0; restart.active && i < runtime.workers; i++)
        if (running < restart.parallel && needs_successor(slot_at(i)))
            running += start_successor(slot_at(i));
    if (restart.active && running == 0 && count_replaced() == count_concerned())
        finish();
}

static void yield_to_stop(void)
{
    snprintf(restart.reason, sizeof restart.reason, "the broker stops");
    restart.aborted = true;
    finish();
}

static void on_look(struct loop_timer *timer)
{
    if (!stop_is_under_way())
        step();
    else if (restart.active)
        yield_to_stop();
    if (waiters_answer())
        result_set_answered();
    if (restart.active || waiters_are_left())
        loop_start_timer(timer, LOOK_MS);
}

static void look_soon(void)
{
    look_timer.on_time = on_look;
    loop_ensure_timer(&look_timer, 0);
}

bool restart_begin(unsigned parallel, bool no_wait, struct session *waiter)
{
    struct restart_order order = {
        .parallel = parallel, .stop_timeout_s = CONFIG_NOT_GIVEN, .no_wait = no_wait};

    return restart_begin_with(&order, waiter);
}

static void log_begin(const struct slot *only)
{
    if (only)
        log_event(LOG_LEVEL_NORMAL, LOG_RESTART_BEGIN,
                  LOG_FACTS(LOG_NUMBER("worker", only->id), LOG_NUMBER("wanted", 1)),
                  "replacing worker %u", only->id);
    else
        log_event(LOG_LEVEL_NORMAL, LOG_RESTART_BEGIN,
                  LOG_FACTS(LOG_NUMBER("wanted", runtime.workers)),
                  "replacing %u worker%s, %u at a time", runtime.workers,
                  runtime.workers == 1 ? "" : "s", restart.parallel);
}

bool restart_begin_with(const struct restart_order *order, struct session *waiter)
{
    const struct slot *only = order->only;
    bool is_asked_for = restart.active && !restart.recycles;

    if (waiter ? !restart_may_begin() : stop_is_under_way())
        return false;
    if (is_asked_for) {
        log_info("a restart is under way: another one follows it");
        restart.again = true;
        journal_touch();
        return true;
    }
    slot_set_generation(slot_generation() + 1);
    if (!waiters_add(waiter, slot_generation(), order->no_wait, order->news))
        return false;
    result_set_answered();
    restart.active = true;
    restart.recycles = false; /* one that was under way becomes a part of this one */
    restart.parallel = order->parallel ? order->parallel : 1;
    restart.stop_timeout_s = order->stop_timeout_s;
    restart.only = only ? only->id + 1 : 0;
    log_begin(only);
    look_soon();
    return true;
}

bool restart_may_begin(void)
{
    return !stop_is_under_way() && (!restart.active || restart.recycles);
}

bool restart_recycle(const struct slot *slot)
{
    const struct restart_order order = {
        .only = slot, .parallel = 1, .stop_timeout_s = CONFIG_NOT_GIVEN, .no_wait = true};

    if (restart.active || !restart_begin_with(&order, NULL))
        return false;
    restart.recycles = true;
    journal_touch();
    return true;
}

bool restart_is_recycling(void)
{
    return restart.active && restart.recycles;
}

bool restart_is_under_way(void)
{
    return restart.active;
}

struct restart_record restart_record(void)
{
    return (struct restart_record){restart.active ? restart.parallel : 0,
                                   restart.again,
                                   restart.only,
                                   restart.stop_timeout_s,
                                   result_due(),
                                   restart.recycles};
}

void restart_resume(const struct restart_record *record)
{
    result_resume(&record->result);
    if (!record->parallel || !waiters_add(NULL, slot_generation(), record->recycles, NULL))
        return;
    restart.active = true;
    restart.recycles = record->recycles;
    restart.parallel = record->parallel;
    restart.again = record->again;
    restart.only = record->only;
    restart.stop_timeout_s = record->stop_timeout_s;
    result_expect();
    log_info("going on with the restart that was under way");
    look_soon();
}

bool restart_join(bool no_wait, struct session *session)
{
    bool has_ended = !restart.active && result_is_resumed();

    if ((!restart.active && !has_ended) || !waiters_add(session, slot_generation(), no_wait, NULL))
        return false;
    if (has_ended) {
        result_answer(); /* its old workers may still drain */
        look_soon();
    }
    return true;
}

void restart_on_failure(const struct worker *last, const char *how)
{
    char reason[sizeof restart.reason];

    if (!restart.active || !is_new(last))
        return;
    snprintf(reason, sizeof reason, "the new copy for slot %u %s %s", last->slot, how,
             last->state == WORKER_READY ? "after it had taken over" : "before it was ready");
    abort_with(reason);
}

void restart_on_served(struct slot *slot, const struct worker *last)
{
    struct worker *old = slot->worker;

    if (!restart.active || !is_new(last) || !old || is_new(old))
        return;
    slot->worker = NULL; /* fleet.c starts the next one */
    slot->restarts++;
    drain_old(old);
}
