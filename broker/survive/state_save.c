/* state_save.c - see state_save.h. Records of fixed size (snapshot.h), slots first, channels last.
 */
#include "broker/survive/state_save.h"

#include <string.h>

#include "broker/base/broker.h"
#include "broker/base/journal.h"
#include "broker/base/log.h"
#include "broker/base/log/ring.h"
#include "broker/handout/front/access.h"
#include "broker/handout/front/held.h"
#include "broker/life/descendants.h"
#include "broker/life/launch/output.h"
#include "broker/life/restart.h"
#include "broker/life/slot.h"
#include "broker/life/stop.h"
#include "broker/pool/listener.h"
#include "broker/pool/session/session.h"
#include "broker/pool/worker.h"
#include "broker/share/intercept/notify.h"
#include "broker/share/retire.h"
#include "broker/survive/snapshot.h"

struct writer {
    char *at;
    size_t room;
};

static void put(struct writer *writer, const void *record, size_t size)
{
    if (writer->room < size) {
        writer->room = 0;
        return;
    }
    memcpy(writer->at, record, size);
    writer->at += size;
    writer->room -= size;
}

static enum state_role role_of(const struct worker *worker)
{
    const struct slot *slot = slot_at(worker->slot);

    return slot->worker == worker      ? ROLE_CURRENT
           : slot->successor == worker ? ROLE_SUCCESSOR
                                       : ROLE_OTHER;
}

static void put_workers(struct writer *writer, uint32_t *count)
{
    struct worker *worker;

    *count = 0;
    LIST_FOREACH(worker, &workers, all) {
        struct state_worker record = {
            .slot = worker->slot,
            .state = worker->state,
            .role = role_of(worker),
            .generation = worker->generation,
            .joined = worker->joined,
            .stopped = worker->stopped,
            .port_zero_claims = worker->port_zero_claims,
            .pid = worker->pid,
            .birth = worker->birth,
            .accepted = worker->accepted,
            .started_ms = worker->started_ms + loop_suspended_ms(),
            .ready_ms = worker->ready_ms + loop_suspended_ms(),
            .drain_ms = worker->drain_ms ? worker->drain_ms + loop_suspended_ms() : 0,
            .stop_timeout = snapshot_from_number(worker->stop_timeout_s),
            .listened_ms = worker->readiness.listened_ms > 0
                               ? worker->readiness.listened_ms + loop_suspended_ms()
                               : 0,
            .ready_fd = worker->readiness.socket_fd < 0 ? 0 : worker->readiness.socket_fd,
            .is_told = worker->readiness.is_told,
            .asked_end = worker->asked_end,
            .accepted_at_port = worker->accepted_at_port,
        };
        memcpy(record.token, worker->token, sizeof record.token);
        worker->number = (*count)++;
        put(writer, &record, sizeof record);
    }
}

static void put_listeners(struct writer *writer, uint32_t *count)
{
    struct listener *listener;

    *count = 0;
    TAILQ_FOREACH(listener, &listeners, all) {
        if (listener->canonical_fd < 0)
            continue; /* reserved: its claimant will ask again */
        struct state_listener record = {
            .key = listener->key,
            .path = listener->path,
            .ordinal = listener->ordinal,
            .listening = listener->listening,
            .backlog = (uint32_t)listener->backlog,
            .counts = listener->counts_number,
            .canonical_fd = listener->canonical_fd,
            .inherited = listener->inherited | listener->stored << 1,
            .view = listener->socket.view,
            .asked = listener->asked,
        };
        memcpy(record.name, listener->name, sizeof record.name);
        listener->number = (*count)++;
        put(writer, &record, sizeof record);
    }
}

static void put_channels(struct writer *writer, uint32_t *count)
{
    struct listener *listener;

    *count = 0;
    TAILQ_FOREACH(listener, &listeners, all)
        for (uint32_t i = 0; i < listener->channel_count; i++) {
            const struct channel *channel = listener->channels[i];
            bool is_over = channel->their_fd < 0 && channel->closed; /* but for a reference */
            if (is_over || listener->canonical_fd < 0)
                continue;
            struct state_channel record = {
                .id = channel->id,
                .listener = listener->number,
                .worker = channel->worker->number,
                .our_fd = channel->our_fd,
                .their_fd = channel->their_fd,
                .board_fd = channel->board_fd,
                .listening = channel->listening,
                .closed = channel->closed,
                .wait_invisible = channel->belief.wait_invisible,
            };
            (*count)++;
            put(writer, &record, sizeof record);
        }
}

static void put_slots(struct writer *writer, uint32_t *count)
{
    *count = slot_count();
    for (uint32_t i = 0; i < *count; i++) {
        const struct slot *slot = slot_at(i);
        struct state_slot record = {
            .restarts = slot->restarts,
            .failures = slot->failures < UINT16_MAX ? (uint16_t)slot->failures : UINT16_MAX,
            .held = slot->held,
            .accepted = slot->accepted,
            .output = output_record(i),
            .has_ended = slot->has_ended,
        };
        put(writer, &record, sizeof record);
    }
}

static int32_t text_fd(enum door_name door)
{
    int fd = door_fd(door);

    return fd < 0 ? 0 : fd;
}

static bool is_scaled(void)
{
    return runtime.workers != broker.config.workers;
}

struct departed_writer {
    struct writer *writer;
    uint32_t *count;
};

static void put_departed(const struct descendants_record *departed, void *context)
{
    struct departed_writer *to = context;
    struct state_departed record = {.finish_by_ms = departed->finish_by_ms + loop_suspended_ms()};

    memcpy(record.token, departed->token, sizeof record.token);
    (*to->count)++;
    put(to->writer, &record, sizeof record);
}

struct rule_writer {
    struct writer *writer;
    uint32_t *count;
};

static void put_rule(const struct cidr *network, bool denied, void *context)
{
    struct rule_writer *to = context;
    struct state_rule record = {.network = *network, .denied = denied};

    (*to->count)++;
    put(to->writer, &record, sizeof record);
}

/* But for the records that follow it. */
static struct state_head make_head(void)
{
    struct restart_record restart = restart_record();
    struct slot_change change = slot_last_change();

    return (struct state_head){
        .rendezvous_fds = {door_fd(DOOR_NAME), door_fd(DOOR_LINK)},
        .text_fds = {text_fd(DOOR_CONTROL), text_fd(DOOR_READ_ONLY)},
        .metrics_fd = runtime.metrics_fd < 0 ? 0 : runtime.metrics_fd,
        .direct = runtime.handoff == HANDOFF_DIRECT,
        .stopping = stop_is_announced(),
        .generation = slot_generation(),
        .restart_parallel = (uint16_t)restart.parallel,
        .restart_only = (uint16_t)restart.only,
        .restart_again = restart.again,
        .restart_stop_timeout = snapshot_from_number(restart.stop_timeout_s),
        .restart_result = restart.result,
        .restart_recycles = restart.recycles,
        .failure_status = (uint32_t)slot_failure_status(),
        .knows_data_ports = retire_knows_data_ports(),
        .scaled_to = is_scaled() ? (uint16_t)runtime.workers : 0,
        .scaled_from = is_scaled() ? (uint16_t)broker.config.workers : 0,
        .events_fd = ring_fd(),
        .change_asker = change.asker,
        .change_from = (uint16_t)change.from,
        .change_to = (uint16_t)change.to,
        .lines_fd = output_control_fd(),
        .lines_pid = runtime.lines_pid,
        .notices_fd = runtime.intercept == INTERCEPT_SECCOMP ? notify_memory_fd() : 0,
    };
}

void state_save(void)
{
    struct state_head head = make_head();
    size_t size;

    held_note_clock();
    char *room = journal_snapshot_room(&size);
    struct writer writer = {room + sizeof head, size - sizeof head};
    put_slots(&writer, &head.slots);
    put_workers(&writer, &head.workers);
    put_listeners(&writer, &head.listeners);
    put_channels(&writer, &head.channels);
    descendants_each_record(put_departed, &(struct departed_writer){&writer, &head.departed});
    access_each_change(put_rule, &(struct rule_writer){&writer, &head.rules});
    if (writer.room == 0) {
        log_error("cannot note the state of so many workers: a crash of the broker loses them; "
                  "start fewer");
        return;
    }
    snapshot_note_sizes(&head);
    memcpy(room, &head, sizeof head);
    journal_publish_snapshot((size_t)(writer.at - room), SNAPSHOT_FORMAT);
}
