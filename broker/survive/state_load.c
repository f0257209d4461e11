/* state_load.c - see state_load.h. */
#include "broker/survive/state_load.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/base/broker.h"
#include "broker/base/journal.h"
#include "broker/base/log.h"
#include "broker/base/log/ring.h"
#include "broker/handout/front/access.h"
#include "broker/handout/front/held.h"
#include "broker/life/begin/readiness.h"
#include "broker/life/supervise/children.h"
#include "broker/life/descendants.h"
#include "broker/life/drain.h"
#include "broker/life/launch/output.h"
#include "broker/life/restart.h"
#include "broker/life/slot.h"
#include "broker/pool/belief.h"
#include "broker/pool/closer.h"
#include "broker/pool/listener.h"
#include "broker/pool/session/session.h"
#include "broker/pool/worker.h"
#include "broker/share/adopt.h"
#include "broker/share/channel_messages.h"
#include "broker/share/grant.h"
#include "broker/share/intercept/notify.h"
#include "broker/share/retire.h"
#include "broker/survive/recount.h"
#include "broker/survive/snapshot.h"

void state_each_fd(void (*visit)(int fd, void *context), void *context)
{
    struct snapshot snapshot;

    if (!snapshot_open(&snapshot))
        return;
    snapshot_each_fd(&snapshot, visit, context);
    held_each_fd(visit, context);
    if (journal_proxied_fd() >= 0)
        visit(journal_proxied_fd(), context);
    if (journal_connections_fd() >= 0)
        visit(journal_connections_fd(), context);
}

static struct worker *load_worker(const struct state_worker *record, state_fd_map *map)
{
    struct worker *worker = worker_create(record->slot);

    if (!worker)
        abort();
    memcpy(worker->token, record->token, sizeof worker->token);
    worker_set_state(worker, (enum worker_state)record->state);
    worker->pid = record->pid;
    worker->birth = (uint32_t)record->birth;
    worker->has_asked = true; /* not known any more */
    worker->joined = record->joined;
    worker->generation = record->generation;
    worker->stopped = record->stopped;
    worker->held = slot_at(record->slot)->held;
    worker->port_zero_claims = record->port_zero_claims;
    worker->accepted = record->accepted;
    worker->accepted_at_port = record->accepted_at_port != 0;
    worker->started_ms = record->started_ms - loop_suspended_ms();
    worker->ready_ms = record->ready_ms - loop_suspended_ms();
    worker->drain_ms = record->drain_ms ? record->drain_ms - loop_suspended_ms() : 0;
    if (record->asked_end < WORKER_ENDS_COUNT)
        worker->asked_end = (enum worker_end)record->asked_end;
    worker_set_stop_timeout(worker, snapshot_to_number(record->stop_timeout));
    readiness_resume(worker, record->ready_fd > 0 ? map(record->ready_fd) : -1, record->is_told,
                     record->listened_ms > 0 ? record->listened_ms - loop_suspended_ms() : 0);
    return worker;
}

static struct listener *load_listener(const struct state_listener *record, state_fd_map *map)
{
    struct path path = record->path;

    if (path.folder_fd >= 0)
        path.folder_fd = map(path.folder_fd);
    struct listener *listener = listener_create(&record->key, record->ordinal, &path);
    if (!listener)
        abort();
    listener_set_backlog(listener, (int)record->backlog);
    listener_set_listening(listener, record->listening);
    listener_adopt_counts(listener, record->counts);
    if (record->inherited & 1)
        listener_set_inherited(listener);
    if (record->inherited & 2)
        listener_set_stored(listener);
    if (memchr(record->name, '\0', sizeof record->name))
        listener_set_name(listener, record->name);
    if (listener_set_canonical(listener, map(record->canonical_fd)) < 0)
        log_error("cannot watch a listener again: %s; restart the server", strerror(errno));
    if (record->view)
        listener_set_view(listener, record->view);
    listener_set_asked(listener, &record->asked);
    return listener;
}

/* A crash in the turn in which the channel was closed: the snapshot is older than that. */
static bool was_closed(int our_fd, int their_fd, int board_fd, bool keeps_theirs)
{
    if (channel_is_end(our_fd) && channel_is_end(their_fd) == keeps_theirs && board_fd >= 0)
        return false;
    if (channel_is_end(our_fd))
        closer_give(our_fd);
    if (channel_is_end(their_fd))
        closer_give(their_fd);
    return true;
}

static void load_channel(const struct state_channel *record, struct listener *listener,
                         struct worker *worker, state_fd_map *map)
{
    int our_fd = map(record->our_fd);
    int their_fd = record->their_fd < 0 ? -1 : map(record->their_fd);
    int board_fd = map(record->board_fd);

    if (was_closed(our_fd, their_fd, board_fd, record->their_fd >= 0))
        return;
    struct channel *channel =
        channel_restore(listener, worker, record->id, our_fd, their_fd, board_fd);
    if (!channel) {
        log_error("cannot take over a channel of worker %u: %s; its offers go to other workers",
                  worker->slot, strerror(errno));
        return;
    }
    if (record->listening)
        channel_set_listening(channel);
    worker->has_listened |= record->listening;
    if (record->closed)
        channel_set_closed(channel);
    belief_restore(channel, record->wait_invisible);
    grant_mark(channel);
    channel_messages_watch(channel);
    recount_channel(channel);
}

/* The worker lives: watch its process. It has ended: treat it as any worker that ends. */
static void resume_worker(struct worker *worker, uint32_t role)
{
    struct slot *slot = slot_at(worker->slot);

    if (role == ROLE_CURRENT)
        slot->worker = worker;
    else if (role == ROLE_SUCCESSOR)
        slot->successor = worker;
    if (worker->state == WORKER_GONE) {
        worker_bury(worker);
        return;
    }
    if (!adopt_worker(worker))
        return;
    if (role == ROLE_OTHER)
        drain_begin(worker);
    else
        channel_messages_resume(worker);
}

/* Workers that accept by themselves read no channel, the others only the channel: so the mode
 * stays. */
static void settle_handoff(const struct state_head *head)
{
    bool direct = runtime.handoff == HANDOFF_DIRECT;

    if (head->notices_fd || head->workers > 0)
        runtime.intercept = head->notices_fd ? INTERCEPT_SECCOMP : INTERCEPT_PRELOAD;
    if (head->notices_fd) {
        runtime.handoff = HANDOFF_DIRECT;
        return;
    }
    if (head->workers == 0 || direct == (head->direct != 0))
        return;
    log_info("--handoff stays %s, as the workers of the broker before have it; to change it, stop "
             "this instance and start it again",
             head->direct ? "direct" : "auto");
    runtime.handoff = head->direct ? HANDOFF_DIRECT : HANDOFF_AUTO;
}

/* What the operator has chosen by `sshim scale` holds until another --workers is given. */
static void settle_number(const struct state_head *head)
{
    if (head->scaled_to > 0 && head->scaled_to <= CONFIG_WORKERS_MAX &&
        head->scaled_from == broker.config.workers)
        slot_set_wanted(head->scaled_to, 0);
    slot_resume_change(
        &(struct slot_change){head->change_from, head->change_to, head->change_asker});
}

bool state_was_stopping(void)
{
    struct snapshot snapshot;

    return snapshot_open(&snapshot) && snapshot.head.stopping;
}

bool state_is_readable(void)
{
    struct snapshot snapshot;

    return snapshot_open(&snapshot);
}

/* All of its pipes, or none. */
static void load_output(uint32_t number, struct output_fds fds, state_fd_map *map)
{
    if (fds.reads[0] <= 0)
        return;
    for (int i = 0; i < 2; i++) {
        fds.reads[i] = map(fds.reads[i]);
        fds.writes[i] = map(fds.writes[i]);
        if (fds.reads[i] < 0 || fds.writes[i] < 0)
            return;
    }
    output_adopt(number, &fds);
}

static void load_slots(const struct snapshot *snapshot, state_fd_map *map)
{
    struct state_slot slot;

    for (uint32_t i = 0; i < snapshot->head.slots; i++) {
        snapshot_get(snapshot, STATE_SLOT, i, &slot);
        adopt_slot(i, slot.restarts, slot.failures, slot.accepted);
        slot_set_held(slot_at(i), slot.held);
        slot_set_ended(slot_at(i), slot.has_ended);
        load_output(i, slot.output, map);
    }
    if (snapshot->head.lines_fd > 0)
        output_adopt_process(map(snapshot->head.lines_fd), snapshot->head.lines_pid);
}

/* Other processes may have these numbers by now. */
static void load_departed(const struct snapshot *snapshot)
{
    struct state_departed departed;
    struct descendants_record record;

    for (uint32_t i = 0; i < snapshot->head.departed; i++) {
        snapshot_get(snapshot, STATE_DEPARTED, i, &departed);
        memcpy(record.token, departed.token, sizeof record.token);
        record.finish_by_ms = departed.finish_by_ms - loop_suspended_ms();
        descendants_add_record(&record, true);
    }
    if (snapshot->head.departed)
        children_look_at_leftovers();
}

/* Before the listeners, which ask for them. */
static void load_rules(const struct snapshot *snapshot)
{
    struct state_rule rule;

    for (uint32_t i = 0; i < snapshot->head.rules; i++) {
        snapshot_get(snapshot, STATE_RULE, i, &rule);
        access_set(&rule.network, rule.denied);
    }
}

static void load_channels(const struct snapshot *snapshot, struct listener **listeners_by_number,
                          struct worker **workers_by_number, state_fd_map *map)
{
    struct state_channel channel;

    for (uint32_t i = 0; i < snapshot->head.channels; i++) {
        snapshot_get(snapshot, STATE_CHANNEL, i, &channel);
        load_channel(&channel, listeners_by_number[channel.listener],
                     workers_by_number[channel.worker], map);
    }
}

static void load_all(const struct snapshot *snapshot, struct listener **loaded_listeners,
                     struct worker **loaded_workers, state_fd_map *map)
{
    struct state_listener listener;
    struct state_worker worker;

    load_slots(snapshot, map);
    load_rules(snapshot);
    load_departed(snapshot);
    for (uint32_t i = 0; i < snapshot->head.workers; i++) {
        snapshot_get(snapshot, STATE_WORKER, i, &worker);
        loaded_workers[i] = load_worker(&worker, map);
    }
    for (uint32_t i = 0; i < snapshot->head.listeners; i++) {
        snapshot_get(snapshot, STATE_LISTENER, i, &listener);
        loaded_listeners[i] = load_listener(&listener, map);
        if (loaded_listeners[i]->listening)
            slot_note_ever_ready();
    }
    load_channels(snapshot, loaded_listeners, loaded_workers, map);
    recount_finish(); /* before a worker that has ended takes its channels along */
    for (uint32_t i = 0; i < snapshot->head.workers; i++) {
        snapshot_get(snapshot, STATE_WORKER, i, &worker);
        resume_worker(loaded_workers[i], worker.role);
    }
}

static void load_rendezvous(const struct state_head *head, state_fd_map *map)
{
    session_listen(DOOR_NAME, map(head->rendezvous_fds[0]));
    session_listen(DOOR_LINK, map(head->rendezvous_fds[1]));
    if (head->text_fds[0] > 0)
        session_listen(DOOR_CONTROL, map(head->text_fds[0]));
    if (head->text_fds[1] > 0)
        session_listen(DOOR_READ_ONLY, map(head->text_fds[1]));
    if (head->metrics_fd > 0)
        runtime.metrics_fd = map(head->metrics_fd);
    if (journal_connections_fd() >= 0)
        runtime.connections_fd = map(journal_connections_fd());
}

int state_load(state_fd_map *map)
{
    struct snapshot snapshot;

    if (!snapshot_open(&snapshot)) {
        errno = EPROTO;
        return -1;
    }
    const struct state_head *head = &snapshot.head;
    struct worker **loaded_workers = calloc(head->workers + 1, sizeof(struct worker *));
    struct listener **loaded_listeners = calloc(head->listeners + 1, sizeof(struct listener *));
    if (!loaded_workers || !loaded_listeners)
        abort();
    ring_open(head->events_fd > 0 ? map(head->events_fd) : -1);
    settle_handoff(head);
    settle_number(head);
    slot_set_generation(head->generation);
    slot_set_failure_status((int)head->failure_status);
    load_all(&snapshot, loaded_listeners, loaded_workers, map);
    if (runtime.intercept == INTERCEPT_SECCOMP)
        notify_resume(head->notices_fd > 0 ? map(head->notices_fd) : -1, map);
    load_rendezvous(head, map);
    restart_resume(&(struct restart_record){head->restart_parallel, head->restart_again,
                                            head->restart_only,
                                            snapshot_to_number(head->restart_stop_timeout),
                                            head->restart_result, head->restart_recycles});
    free(loaded_workers);
    free(loaded_listeners);
    retire_resume(head->knows_data_ports);
    return 0;
}
