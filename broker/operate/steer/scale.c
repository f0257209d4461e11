/* scale.c - see scale.h. */
#include "broker/operate/steer/scale.h"

#include <inttypes.h>
#include <string.h>

#include "broker/base/broker.h"
#include "broker/base/log.h"
#include "broker/base/options/parse.h"
#include "broker/life/drain.h"
#include "broker/life/supervise/fleet.h"
#include "broker/life/stop.h"
#include "broker/operate/steer/await.h"

static void refuse(struct session *waiter, int exit_code, const char *reason)
{
    if (waiter)
        session_answer(waiter, exit_code, "%s\n", reason);
    else
        log_info("%s", reason);
}

/* False: it is no number, or none that there can be. */
static bool parse(const char *text, unsigned *number)
{
    bool is_change = *text == '+' || *text == '-';
    long wanted = runtime.workers;
    unsigned value;

    if (!option_parse_number(text + is_change, 0, CONFIG_WORKERS_MAX, &value))
        return false;
    long given = (long)value;
    wanted = !is_change ? given : *text == '+' ? wanted + given : wanted - given;
    *number = wanted < 0 ? 0 : (unsigned)wanted;
    return wanted >= 1 && wanted <= CONFIG_WORKERS_MAX;
}

/* --- up --- */

/* A server that joined has the slot: it moves to a free one behind those of our own. */
static bool move_joined(struct slot *slot, unsigned wanted)
{
    struct slot *other = NULL;
    struct slot old = *slot;

    for (unsigned i = wanted; i < slot_count() && !other; i++)
        other = slot_at(i)->worker ? NULL : slot_at(i);
    if (!other && slot_count() < CONFIG_WORKERS_MAX)
        other = slot_add();
    if (!other)
        return false;
    worker_set_slot(old.worker, other->id);
    slot->worker = NULL;
    slot->restarts = other->restarts;
    slot->accepted = other->accepted;
    slot->held = false;
    other->worker = old.worker;
    other->restarts = old.restarts;
    other->accepted = old.accepted;
    other->held = old.held;
    return true;
}

/* An empty slot where this one is. False: there is no memory, or no slot, for one more. */
static bool make_room(unsigned id, unsigned wanted)
{
    while (slot_count() <= id)
        if (!slot_add())
            return false;
    return !slot_at(id)->worker || move_joined(slot_at(id), wanted);
}

static bool has_given_up(unsigned id)
{
    return slot_at(id)->failures >= FLEET_FAILURES_MAX || slot_at(id)->has_ended;
}

static bool is_filled(struct await *await)
{
    unsigned ready = 0;
    unsigned broken = 0;

    if (runtime.workers != await->to)
        return await_end(await, 1, "given up: the number of workers was changed to %u meanwhile\n",
                         runtime.workers);
    for (unsigned i = await->from; i < await->to; i++) {
        const struct worker *worker = slot_at(i)->worker;
        ready += worker && worker->state == WORKER_READY;
        broken += !(worker && worker->state == WORKER_READY) && has_given_up(i);
    }
    if (ready == await->to - await->from || await->no_wait)
        return await_end(await, EXIT_STOPPED, "%u of %u workers are ready, %u more\n",
                         slot_count_ready(), await->to, await->to - await->from);
    if (ready + broken < await->to - await->from)
        return false;
    return await_end(
        await, 1,
        "%u of %u workers are ready; new ones that keep ending: %u; see the log, or scale "
        "back to %u\n",
        slot_count_ready(), await->to, broken, await->from);
}

static bool grow(unsigned from, unsigned to, pid_t asker)
{
    for (unsigned i = from; i < to; i++)
        if (!make_room(i, to))
            return false;
    slot_set_wanted(to, asker);
    for (unsigned i = from; i < to; i++)
        fleet_fill(slot_at(i));
    return true;
}

/* --- down --- */

static void empty(struct slot *slot)
{
    struct worker *worker = slot->worker;
    struct worker *successor = slot->successor;

    loop_stop_timer(&slot->respawn);
    slot->worker = NULL;
    slot->successor = NULL;
    slot->failures = 0;
    slot->reported = false;
    slot->held = false;
    if (worker)
        drain_begin(worker);
    if (successor)
        drain_begin(successor);
}

static bool is_emptied(struct await *await)
{
    const struct worker *worker;
    unsigned left = 0;

    LIST_FOREACH(worker, &workers, all)
        left += worker->slot >= await->to && worker->slot < await->from && !worker->joined &&
                worker->state == WORKER_DRAINING;
    if (left > 0 && !await->no_wait)
        return false;
    if (left > 0)
        return await_end(await, EXIT_STOPPED, "%u of %u workers are ready, %u fewer that drain\n",
                         slot_count_ready(), runtime.workers, await->from - await->to);
    return await_end(await, EXIT_STOPPED,
                     "%u of %u workers are ready, %u fewer; connections that were cut: %" PRIu64
                     "\n",
                     slot_count_ready(), runtime.workers, await->from - await->to, await->cut);
}

void scale_on_leave(const struct worker *worker)
{
    struct await *await;

    if (worker->state != WORKER_DRAINING || worker->joined)
        return;
    TAILQ_FOREACH(await, &awaits, all)
        if (await->is_over == is_emptied && worker->slot >= await->to && worker->slot < await->from)
            await->cut += worker_active(worker);
}

static void shrink(unsigned from, unsigned to, pid_t asker)
{
    slot_set_wanted(to, asker);
    for (unsigned i = to; i < from; i++)
        empty(slot_at(i));
    fleet_end_if_empty();
}

static void await_change(unsigned from, unsigned to, bool no_wait, struct session *waiter)
{
    struct await await = {.session = waiter,
                          .no_wait = no_wait,
                          .from = from,
                          .to = to,
                          .is_over = to > from ? is_filled : is_emptied};

    if (!await_begin(&await) && waiter)
        session_answer(waiter, 1, "it has begun; there is no memory to wait for its end\n");
}

static void change(unsigned from, unsigned to, bool no_wait, struct session *waiter)
{
    pid_t asker = waiter ? waiter->peer.pid : 0;

    if (to > from && !grow(from, to, asker)) {
        refuse(waiter, 1, "there is no memory for so many workers");
        return;
    }
    if (to < from)
        shrink(from, to, asker);
    await_change(from, to, no_wait, waiter);
}

void scale_begin(const char *text, bool no_wait, struct session *waiter)
{
    unsigned from = runtime.workers;
    unsigned to = from;

    if (!broker.config.command)
        refuse(waiter, 1, "this instance has no command: it starts no workers, they join");
    else if (stop_is_under_way())
        refuse(waiter, 1, "the broker stops");
    else if (!parse(text, &to))
        refuse(waiter, EXIT_USAGE,
               "the number of workers can be 1 to 4096; give N, +N or -N, or stop the instance");
    else if (to == from)
        refuse(waiter, EXIT_STOPPED, "there are as many workers already");
    else
        change(from, to, no_wait, waiter);
}

void scale_join(const char *text, bool no_wait, struct session *waiter)
{
    struct slot_change last = slot_last_change();

    if (stop_is_under_way() || last.asker != waiter->peer.pid)
        scale_begin(text, no_wait, waiter);
    else
        await_change(last.from, last.to, no_wait, waiter);
}
