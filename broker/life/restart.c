/*
 * restart.c - see restart.h. The generation of a slot's worker says whether the slot is done, so
 * that the next broker can go on.
 */
#include "broker/life/restart.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/base/broker.h"
#include "broker/base/journal.h"
#include "broker/base/log.h"
#include "broker/life/drain.h"
#include "broker/life/begin/start.h"
#include "broker/life/stop.h"
#include "broker/life/succession.h"

#define LOOK_MS 20 /* between looks at the successors, and at the old ones */

/* The operator's command that asked for the restart and is to be answered. */
struct waiter {
    struct session *session; /* NULL: is gone */
    bool no_wait;
    unsigned generation;
    uint64_t cut;
    char news[512]; /* lines that come first in the answer */
    char text[320];
    int exit_code;
    bool is_over; /* text and exit_code are there; waits for the old workers to end */
    TAILQ_ENTRY(waiter) all;
};

static TAILQ_HEAD(waiter_queue, waiter) waiters = TAILQ_HEAD_INITIALIZER(waiters);

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

/* The one that ended last; is_resumed: it was begun by the broker before us. */
static struct {
    bool is_resumed;
    struct restart_result result;
    char text[320];
} ended;

static struct loop_timer look_timer;

static bool is_new(const struct worker *worker)
{
    return worker->generation == slot_generation();
}

/* --- commands that wait for the answer --- */

static void on_waiter_gone(struct session *session)
{
    struct waiter *waiter;

    TAILQ_FOREACH(waiter, &waiters, all)
        if (waiter->session == session)
            waiter->session = NULL;
}

static struct waiter *add_waiter(struct session *session, bool no_wait)
{
    struct waiter *waiter = calloc(1, sizeof *waiter);

    if (!waiter)
        return NULL;
    waiter->session = session;
    waiter->no_wait = no_wait;
    waiter->generation = slot_generation();
    if (session)
        session_await(session, on_waiter_gone);
    TAILQ_INSERT_TAIL(&waiters, waiter, all);
    return waiter;
}

static void answer(struct waiter *waiter)
{
    struct session *session = waiter->session;

    if (waiter->cut > 0)
        log_info("connections of the old workers that were cut: %llu",
                 (unsigned long long)waiter->cut);
    if (session && waiter->cut > 0)
        session_answer(session, waiter->exit_code,
                       "%s%sconnections of the old workers that were cut: %llu\n", waiter->news,
                       waiter->text, (unsigned long long)waiter->cut);
    else if (session)
        session_answer(session, waiter->exit_code, "%s%s", waiter->news, waiter->text);
    if (session && ended.result.is_due) {
        ended.result.is_due = false;
        journal_touch();
    }
    TAILQ_REMOVE(&waiters, waiter, all);
    free(waiter);
}

static bool has_old_workers(unsigned generation)
{
    const struct worker *worker;

    LIST_FOREACH(worker, &workers, all)
        if (worker->state == WORKER_DRAINING && !worker->joined && worker->generation < generation)
            return true;
    return false;
}

static void answer_those_due(void)
{
    struct waiter *waiter = TAILQ_FIRST(&waiters);

    while (waiter) {
        struct waiter *next = TAILQ_NEXT(waiter, all);
        if (waiter->is_over && (waiter->no_wait || !has_old_workers(waiter->generation)))
            answer(waiter);
        waiter = next;
    }
}

void restart_on_old_end(const struct worker *worker)
{
    struct waiter *waiter;

    if (worker->state != WORKER_DRAINING)
        return;
    TAILQ_FOREACH(waiter, &waiters, all)
        if (worker->generation < waiter->generation)
            waiter->cut += worker_active(worker);
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

/* One log line for each line of the text. */
static int describe(char *text, size_t size)
{
    unsigned done = count_replaced();
    unsigned joined = count_joined();
    int used;

    if (restart.aborted)
        used = snprintf(text, size,
                        "restart aborted: %s; %u of %u workers were replaced, the others go on\n",
                        restart.reason, done, count_concerned());
    else
        used = snprintf(text, size, "%u of %u workers were replaced\n", done, count_concerned());
    if (joined > 0 && used > 0 && (size_t)used < size)
        snprintf(
            text + used, size - (size_t)used,
            "servers that joined and were left out: %u; restart them where they were started\n",
            joined);
    return restart.aborted || joined > 0 ? 1 : EXIT_STOPPED;
}

/* The first line is the event. */
static void log_result(const char *text)
{
    const struct log_fact *facts =
        LOG_FACTS(LOG_NUMBER("replaced", count_replaced()), LOG_NUMBER("wanted", count_concerned()),
                  LOG_TEXT("reason", restart.reason));
    enum log_level level = restart.aborted ? LOG_LEVEL_QUIET : LOG_LEVEL_NORMAL;
    enum log_event event = restart.aborted ? LOG_RESTART_FAILED : LOG_RESTART_DONE;

    for (const char *end; (end = strchr(text, '\n')) != NULL; text = end + 1) {
        log_event(level, event, facts, "%.*s", (int)(end - text), text);
        event = LOG_MESSAGE;
    }
}

/* Returns whether a command waits for this one, or may have waited for it at the broker before. */
static bool tell_waiters(void)
{
    struct waiter *waiter;
    bool is_due = ended.is_resumed;

    TAILQ_FOREACH(waiter, &waiters, all) {
        if (waiter->is_over)
            continue;
        memcpy(waiter->text, ended.text, sizeof waiter->text);
        waiter->exit_code = ended.result.exit_code;
        waiter->is_over = true;
        waiter->no_wait |= restart.aborted;
        is_due |= waiter->session != NULL;
    }
    return is_due;
}

static void finish(void)
{
    bool again = restart.again;
    unsigned parallel = restart.parallel;

    ended.result =
        (struct restart_result){.exit_code = (uint8_t)describe(ended.text, sizeof ended.text),
                                .is_aborted = restart.aborted,
                                .replaced = (uint16_t)count_replaced(),
                                .wanted = (uint16_t)count_concerned()};
    log_result(ended.text);
    ended.result.is_due = tell_waiters();
    memset(&restart, 0, sizeof restart);
    journal_touch();
    if (again)
        restart_begin(parallel, false, NULL);
}

static void keep(struct slot *slot, struct worker *successor)
{
    slot->worker = successor;
    if (successor->has_listened)
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
    answer_those_due();
    if (restart.active || !TAILQ_EMPTY(&waiters))
        loop_start_timer(timer, LOOK_MS);
}

static void look_soon(void)
{
    look_timer.on_time = on_look;
    if (!loop_timer_runs(&look_timer))
        loop_start_timer(&look_timer, 0);
}

bool restart_begin(unsigned parallel, bool no_wait, struct session *waiter)
{
    struct restart_order order = {
        .parallel = parallel, .stop_timeout_s = CONFIG_NOT_GIVEN, .no_wait = no_wait};

    return restart_begin_with(&order, waiter);
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
    if (!add_waiter(waiter, order->no_wait))
        return false;
    if (order->news)
        snprintf(TAILQ_LAST(&waiters, waiter_queue)->news, sizeof(struct waiter){0}.news, "%s",
                 order->news);
    ended.result.is_due = false;
    restart.active = true;
    restart.recycles = false; /* one that was under way becomes a part of this one */
    restart.parallel = order->parallel ? order->parallel : 1;
    restart.stop_timeout_s = order->stop_timeout_s;
    restart.only = only ? only->id + 1 : 0;
    if (only)
        log_event(LOG_LEVEL_NORMAL, LOG_RESTART_BEGIN,
                  LOG_FACTS(LOG_NUMBER("worker", only->id), LOG_NUMBER("wanted", 1)),
                  "replacing worker %u", only->id);
    else
        log_event(LOG_LEVEL_NORMAL, LOG_RESTART_BEGIN,
                  LOG_FACTS(LOG_NUMBER("wanted", runtime.workers)),
                  "replacing %u worker%s, %u at a time", runtime.workers,
                  runtime.workers == 1 ? "" : "s", restart.parallel);
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

const char *restart_last_result(void)
{
    return !ended.text[0] ? "none" : ended.result.is_aborted ? "aborted" : "done";
}

struct restart_record restart_record(void)
{
    return (struct restart_record){restart.active ? restart.parallel : 0,
                                   restart.again,
                                   restart.only,
                                   restart.stop_timeout_s,
                                   ended.result.is_due ? ended.result : (struct restart_result){0},
                                   restart.recycles};
}

/* The reason, and what else is to be said, is in the log of the broker before. */
static void resume_result(const struct restart_result *result)
{
    if (!result->is_due)
        return;
    ended.is_resumed = true;
    ended.result = *result;
    snprintf(ended.text, sizeof ended.text, "%s%u of %u workers were replaced%s\n",
             result->is_aborted ? "restart aborted: " : "", result->replaced, result->wanted,
             result->exit_code ? "; the log says more" : "");
}

void restart_resume(const struct restart_record *record)
{
    resume_result(&record->result);
    if (!record->parallel || !add_waiter(NULL, record->recycles))
        return;
    restart.active = true;
    restart.recycles = record->recycles;
    restart.parallel = record->parallel;
    restart.again = record->again;
    restart.only = record->only;
    restart.stop_timeout_s = record->stop_timeout_s;
    ended.is_resumed = true;
    log_info("going on with the restart that was under way");
    look_soon();
}

bool restart_join(bool no_wait, struct session *session)
{
    bool has_ended = !restart.active && ended.is_resumed && ended.text[0];
    struct waiter *waiter = restart.active || has_ended ? add_waiter(session, no_wait) : NULL;

    if (!waiter || !has_ended)
        return waiter != NULL;
    memcpy(waiter->text, ended.text, sizeof waiter->text);
    waiter->exit_code = ended.result.exit_code;
    waiter->is_over = true; /* but its old workers may still drain */
    look_soon();
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
