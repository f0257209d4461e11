/* recycle.c - see recycle.h. */
#include "broker/operate/steer/recycle.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "broker/base/broker.h"
#include "broker/base/log.h"
#include "broker/base/loop.h"
#include "broker/base/process/procfs.h"
#include "broker/base/turn.h"
#include "broker/life/restart.h"
#include "broker/life/slot.h"
#include "broker/life/stop.h"

#define LOOK_MS 1000
#define MEMORY_LOOKS 5       /* memory is read at every so many looks */
#define PAUSE_FIRST_MS 10000 /* after a replacement that failed */
#define PAUSE_MAX_MS (600 * 1000)

/* A limit is met at 9/10 to 10/10 of it, or copies of one age would all be due. */
#define SPREAD 10

static struct {
    struct loop_timer timer;
    unsigned looks;
    unsigned first;                    /* slot: there the look at memory goes on */
    uint8_t replaced[WIRE_TOKEN_SIZE]; /* the worker whose replacement was begun last */
    bool is_judged;                    /* whether that has succeeded */
    int64_t pause_ms;
    int64_t not_before_ms;
} recycle;

static const struct config_recycle *limits(void)
{
    return &broker.config.recycle;
}

static bool is_asked_for(void)
{
    return limits()->conns || limits()->age_s || limits()->rss_bytes;
}

/* The worker's own share of the spread. Its token is random, and outlives the broker as it does. */
static uint64_t soften(uint64_t limit, const struct worker *worker)
{
    unsigned random = worker->token[0] * 256u + worker->token[1];

    return limit - limit / SPREAD * random / 65536;
}

static uint64_t measure_memory(const struct worker *worker)
{
    struct procfs_list tree;
    uint64_t bytes = 0;

    procfs_list_tree(worker->pid, &tree);
    for (unsigned i = 0; i < tree.count; i++)
        bytes += procfs_resident_bytes(tree.at[i]);
    return bytes;
}

/* Whether the worker is to be replaced, and why. */
static bool is_due(const struct worker *worker, bool looks_at_memory, char *why, size_t size)
{
    uint64_t accepted = worker_accepted(worker);
    int64_t age_ms = loop_now_ms() - worker->started_ms;
    uint64_t bytes;

    if (limits()->conns && accepted >= soften(limits()->conns, worker)) {
        snprintf(why, size, "it has accepted %" PRIu64 " connections (--max-conns)", accepted);
        return true;
    }
    if (limits()->age_s && age_ms >= (int64_t)soften((uint64_t)limits()->age_s * 1000, worker)) {
        snprintf(why, size, "it has lived for %" PRId64 " s (--max-age)", age_ms / 1000);
        return true;
    }
    if (!limits()->rss_bytes || !looks_at_memory || !turn_has_time())
        return false;
    bytes = measure_memory(worker);
    snprintf(why, size, "it has %" PRIu64 " MiB resident (--max-rss)", bytes >> 20);
    return bytes >= soften(limits()->rss_bytes, worker);
}

/* An old one is about to end, or no operator's restart is to be disturbed. */
static bool is_occupied(void)
{
    const struct worker *worker;

    LIST_FOREACH(worker, &workers, all)
        if (worker->state == WORKER_DRAINING && !worker->joined)
            return true;
    return restart_is_under_way();
}

/* If the worker is still there, its successor has failed: try again later. */
static void judge_last(void)
{
    bool failed = false;

    if (recycle.is_judged)
        return;
    recycle.is_judged = true;
    for (unsigned i = 0; i < slot_count(); i++) {
        const struct worker *worker = slot_at(i)->worker;
        failed |= worker && memcmp(worker->token, recycle.replaced, WIRE_TOKEN_SIZE) == 0;
    }
    recycle.pause_ms = !failed ? 0 : !recycle.pause_ms ? PAUSE_FIRST_MS : recycle.pause_ms * 2;
    if (recycle.pause_ms > PAUSE_MAX_MS)
        recycle.pause_ms = PAUSE_MAX_MS;
    recycle.not_before_ms = loop_now_ms() + recycle.pause_ms;
}

static void replace_one(bool looks_at_memory)
{
    unsigned count = runtime.workers < slot_count() ? runtime.workers : slot_count();
    unsigned first = recycle.first;
    char why[96];

    for (unsigned i = 0; i < count; i++) {
        const struct slot *slot = slot_at((first + i) % count);
        const struct worker *worker = slot->worker;
        if (looks_at_memory && turn_has_time())
            recycle.first = slot->id + 1; /* a turn may have no time for all of them */
        if (!worker || worker->state != WORKER_READY || worker->joined || slot->held ||
            !is_due(worker, looks_at_memory, why, sizeof why))
            continue;
        log_info("worker %u (pid %d) is recycled: %s", worker->slot, (int)worker->pid, why);
        memcpy(recycle.replaced, worker->token, WIRE_TOKEN_SIZE);
        recycle.is_judged = false;
        restart_recycle(slot);
        return;
    }
}

static void on_look(struct loop_timer *timer)
{
    if (stop_is_under_way() || !is_asked_for())
        return;
    loop_start_timer(timer, LOOK_MS);
    if (is_occupied())
        return;
    judge_last();
    if (loop_now_ms() >= recycle.not_before_ms)
        replace_one(recycle.looks++ % MEMORY_LOOKS == 0);
}

void recycle_begin(void)
{
    if (!is_asked_for())
        return;
    if (loop_timer_runs(&recycle.timer))
        return;
    recycle.is_judged = true;
    recycle.timer.on_time = on_look;
    loop_start_timer(&recycle.timer, LOOK_MS);
}
