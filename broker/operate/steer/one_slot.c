/* one_slot.c - see one_slot.h. */
#include "broker/operate/steer/one_slot.h"

#include <inttypes.h>
#include <signal.h>
#include <string.h>

#include "broker/base/broker.h"
#include "broker/base/options/parse.h"
#include "broker/handout/pick.h"
#include "broker/handout/recall.h"
#include "broker/life/slot.h"
#include "broker/operate/steer/await.h"
#include "broker/pool/listener.h"

#define SIGNAL_MAX 64

struct slot *one_slot_find(struct session *session, const char *text)
{
    unsigned id;

    if (option_parse_number(text, 0, CONFIG_WORKERS_MAX, &id) && id < slot_count() &&
        (id < runtime.workers || slot_at(id)->worker))
        return slot_at(id);
    session_answer(session, 1, "there is no slot '%s'; see sshim status\n", text);
    return NULL;
}

/* --- drain and resume --- */

static bool is_at_rest(const struct slot *slot)
{
    return !slot->worker || worker_is_at_rest(slot->worker);
}

/* Whether any worker would take a connection that comes now. */
static bool is_anybody_left(void)
{
    for (unsigned i = 0; i < slot_count(); i++)
        if (slot_at(i)->worker && pick_may_choose(slot_at(i)->worker))
            return true;
    return false;
}

static bool is_drained(struct await *await)
{
    const struct slot *slot = slot_at(await->from);
    const char *warning =
        is_anybody_left() ? "" : "no worker takes connections now: they wait in the queue\n";

    if (!slot->held)
        return await_end(await, 1, "given up: slot %u was resumed meanwhile\n", slot->id);
    await->looks_at_rest = is_at_rest(slot) ? await->looks_at_rest + 1 : 0;
    if (await->looks_at_rest >= AWAIT_LOOKS_AT_REST)
        return await_end(await, EXIT_STOPPED, "slot %u is drained\n%s", slot->id, warning);
    if (await->no_wait)
        return await_end(await, EXIT_STOPPED, "slot %u drains\n%s", slot->id, warning);
    if (loop_now_ms() - await->begun_ms < await->deadline_ms)
        return false;
    return await_end(await, 1,
                     "slot %u gets no connections; open after %" PRId64 " s: %" PRIu64 "\n%s",
                     slot->id, await->deadline_ms / 1000,
                     slot->worker ? worker_active(slot->worker) : 0, warning);
}

static void hold(struct slot *slot)
{
    struct channel *channel;

    slot_set_held(slot, true);
    if (!slot->worker)
        return;
    LIST_FOREACH(channel, &slot->worker->channels, of_worker)
        channel_set_queue(channel, BOARD_QUEUE_EMPTY);
    recall_all_of(slot->worker);
}

void one_slot_drain(struct session *session, const struct config_target *asked)
{
    struct slot *slot = one_slot_find(session, asked->operands[0]);
    unsigned timeout_s =
        asked->timeout_s == CONFIG_NOT_GIVEN ? broker.config.stop_timeout_s : asked->timeout_s;

    if (!slot)
        return;
    if (runtime.handoff == HANDOFF_DIRECT) {
        session_answer(session, 1,
                       "under %s workers take connections by themselves: no slot can be drained; "
                       "'sshim restart %u' or 'sshim scale' end a worker\n",
                       runtime.intercept == INTERCEPT_SECCOMP ? "--intercept seccomp"
                                                              : "--handoff direct",
                       slot->id);
        return;
    }
    hold(slot);
    struct await await = {.session = session,
                          .no_wait = asked->no_wait,
                          .deadline_ms = (int64_t)timeout_s * 1000,
                          .from = slot->id,
                          .is_over = is_drained};
    if (!await_begin(&await))
        session_answer(session, 1, "slot %u drains; there is no memory to wait for it\n", slot->id);
}

void one_slot_resume(struct session *session, const struct config_target *asked)
{
    struct slot *slot = one_slot_find(session, asked->operands[0]);

    if (!slot)
        return;
    if (!slot->held) {
        session_answer(session, EXIT_STOPPED, "slot %u is in service already\n", slot->id);
        return;
    }
    slot_set_held(slot, false);
    if (slot->worker)
        worker_wake(slot->worker);
    session_answer(session, EXIT_STOPPED, "slot %u is in service\n", slot->id);
}

/* --- kill --- */

/* A number, or a name with or without SIG. 0: there is no such signal. */
static int parse_signal(const char *text)
{
    unsigned number;

    if (option_parse_number(text, 1, SIGNAL_MAX, &number))
        return (int)number;
    if (strncasecmp(text, "SIG", 3) == 0)
        text += 3;
    for (int i = 1; i < NSIG; i++)
        if (sigabbrev_np(i) && strcasecmp(text, sigabbrev_np(i)) == 0)
            return i;
    return 0;
}

void one_slot_kill(struct session *session, const struct config_target *asked)
{
    int number = asked->operand_count > 1 ? parse_signal(asked->operands[1]) : SIGTERM;
    struct slot *slot = one_slot_find(session, asked->operands[0]);

    if (!slot)
        return;
    if (number == 0) {
        session_answer(session, EXIT_USAGE,
                       "there is no signal '%s'; give a name as TERM or a number\n",
                       asked->operands[1]);
    } else if (!slot->worker || slot->worker->pid <= 0) {
        session_answer(session, 1, "slot %u is empty: its worker %s\n", slot->id,
                       slot->has_ended ? "has ended, and is not replaced (--once)"
                                       : "is about to be started again");
    } else {
        if (number == SIGTERM || number == SIGKILL || number == SIGINT || number == SIGQUIT)
            slot->worker->asked_end = WORKER_END_OPERATOR;
        worker_signal(slot->worker, number);
        session_answer(session, EXIT_STOPPED, "worker %u (pid %d) was sent signal %d (%s)\n",
                       slot->id, (int)slot->worker->pid, number, strsignal(number));
    }
}
