/* view.c - see view.h. */
#include "broker/operate/tell/status/view.h"

#include <stdbool.h>
#include <stdio.h>

#include "broker/base/broker.h"
#include "broker/diagnose/clients.h"
#include "broker/handout/pick.h"
#include "broker/life/slot.h"
#include "broker/pool/worker.h"
#include "broker/share/retire.h"

static const char *state_of(const struct worker *worker)
{
    if (worker->state == WORKER_READY || worker->state == WORKER_STARTING) {
        if (worker->held && worker->state == WORKER_READY)
            return worker_is_at_rest(worker) ? "drained" : worker_state_name(WORKER_DRAINING);
        if (worker_is_stuck(worker))
            return "stuck";
        if (retire_is_about_to_end(worker))
            return worker_state_name(WORKER_DRAINING);
        if (worker->state == WORKER_READY && worker_is_busy(worker))
            return "busy";
    }
    return worker_state_name(worker->state);
}

static struct worker_view view_worker(const struct worker *worker)
{
    return (struct worker_view){
        .slot = worker->slot,
        .pid = (int)worker->pid,
        .state = state_of(worker),
        .accepted = worker_accepted(worker),
        .active = worker_is_notified(worker) ? clients_count(worker) : worker_active(worker),
        .uptime_s = (loop_now_ms() - worker->started_ms) / 1000,
        .via = worker_is_notified(worker) ? "seccomp" : "preload",
    };
}

static struct worker_view view_slot(const struct slot *slot)
{
    struct worker_view view = {
        .slot = slot->id, .state = slot->has_ended ? "ended" : "backoff", .via = "-"};

    if (slot->worker)
        view = view_worker(slot->worker);
    view.accepted += slot->accepted;
    view.restarts = slot->restarts;
    view.ends = slot->ends;
    return view;
}

/* An empty slot beyond those of -w is not shown. */
static bool is_shown(unsigned id)
{
    return id < runtime.workers || slot_at(id)->worker;
}

void view_each_worker(void (*print)(FILE *out, const struct worker_view *view), FILE *out)
{
    const struct worker *worker;

    for (unsigned i = 0; i < slot_count(); i++) {
        struct worker_view view = view_slot(slot_at(i));
        if (is_shown(i))
            print(out, &view);
    }
    LIST_FOREACH(worker, &workers, all) {
        struct worker_view view = view_worker(worker);
        if (worker->state != WORKER_GONE && slot_at(worker->slot)->worker != worker)
            print(out, &view);
    }
}

static int view_leader(const struct listener *listener)
{
    const struct channel *leader = pick_leader(listener);

    return leader ? (int)worker_slot(leader->worker) : -1;
}

struct listener_view view_listener(const struct listener *listener)
{
    struct listener_view view = {.totals = listener_totals(listener),
                                 .name = listener->name,
                                 .leader = view_leader(listener),
                                 .front = front_totals(listener),
                                 .shut_downs = listener->revive.shut_downs,
                                 .waited_ms = listener->queue.waited_ms};

    view.totals.accepted += front_closed(&view.front) + view.front.held;
    view.totals.connections += front_closed(&view.front) + view.front.held;
    socket_key_format(&listener->socket, &listener->bound, view.address);
    if (listener->asked.len > 0)
        address_format(&listener->asked, view.asked);
    if (listener->queue.waits)
        view.waited_ms += loop_now_ms() - listener->queue.waits_since_ms;
    view.queued = listener_queued(listener, &view.backlog);
    if (view.backlog < 0)
        view.backlog = listener->backlog;
    view.queued = view.queued < 0 ? 0 : view.queued;
    return view;
}

void view_describe(const struct listener_view *view, char text[VIEW_TEXT_MAX])
{
    char *end = text + sprintf(text, "%s", view->address);

    if (*view->asked)
        end += sprintf(end, " for %s", view->asked);
    if (view->leader >= 0)
        end += sprintf(end, " at slot %d", view->leader);
    if (*view->name)
        sprintf(end, " (%s)", view->name);
}
