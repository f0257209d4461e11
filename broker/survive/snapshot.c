/* snapshot.c - see snapshot.h. What another version, or a bug, may have written must not lead
 * outside. */
#include "broker/survive/snapshot.h"

#include <stddef.h>
#include <string.h>

#include "broker/base/config.h"
#include "broker/base/journal.h"
#include "broker/pool/worker.h"
#include "broker/share/intercept/notify.h"

#define RECORD_MAX 4096 /* bytes, of any version */

static const uint32_t own_sizes[STATE_KINDS] = {
    [STATE_HEAD] = sizeof(struct state_head),
    [STATE_SLOT] = sizeof(struct state_slot),
    [STATE_WORKER] = sizeof(struct state_worker),
    [STATE_LISTENER] = sizeof(struct state_listener),
    [STATE_CHANNEL] = sizeof(struct state_channel),
    [STATE_DEPARTED] = sizeof(struct state_departed),
    [STATE_RULE] = sizeof(struct state_rule),
};

/* Of format 0, for ever. */
static const uint32_t first_sizes[STATE_KINDS] = {48, 16, 80, 448, 40, 0, 0};

uint32_t snapshot_from_number(unsigned number)
{
    return number + 1; /* CONFIG_NOT_GIVEN is UINT_MAX */
}

unsigned snapshot_to_number(uint64_t recorded)
{
    return (unsigned)recorded - 1;
}

void snapshot_note_sizes(struct state_head *head)
{
    memset(head->sizes, 0, sizeof head->sizes);
    memcpy(head->sizes, own_sizes, sizeof own_sizes);
}

/* A record of any version: what it lacks is 0. */
static void copy_record(void *record, size_t size, const char *at, size_t size_there)
{
    memset(record, 0, size);
    memcpy(record, at, size < size_there ? size : size_there);
}

#define SIZES_END (offsetof(struct state_head, sizes) + sizeof((struct state_head){0}.sizes))

static bool read_head(struct snapshot *snapshot, const char *at, size_t len, uint16_t format)
{
    struct state_head *head = &snapshot->head;
    size_t start = format == 0 ? first_sizes[STATE_HEAD] : SIZES_END;

    if (format > SNAPSHOT_FORMAT || len < start)
        return false;
    copy_record(head, sizeof *head, at, start);
    if (format == 0)
        memcpy(head->sizes, first_sizes, sizeof first_sizes);
    for (int kind = 0; kind < STATE_KINDS; kind++)
        if (head->sizes[kind] < first_sizes[kind] || head->sizes[kind] > RECORD_MAX)
            return false;
    if (head->sizes[STATE_HEAD] > len)
        return false;
    uint32_t sizes[STATE_KINDS_MAX];
    memcpy(sizes, head->sizes, sizeof sizes);
    copy_record(head, sizeof *head, at, sizes[STATE_HEAD]);
    memcpy(head->sizes, sizes, sizeof sizes);
    return true;
}

static uint32_t count_of(const struct state_head *head, int kind)
{
    switch ((enum state_kind)kind) {
    case STATE_HEAD: return 1;
    case STATE_SLOT: return head->slots;
    case STATE_WORKER: return head->workers;
    case STATE_LISTENER: return head->listeners;
    case STATE_CHANNEL: return head->channels;
    case STATE_DEPARTED: return head->departed;
    case STATE_RULE: return head->rules;
    }
    return 0;
}

void snapshot_get(const struct snapshot *snapshot, enum state_kind kind, uint32_t number,
                  void *record)
{
    size_t size = snapshot->head.sizes[kind];

    copy_record(record, own_sizes[kind], snapshot->tables[kind] + number * size, size);
}

static bool are_workers_sound(const struct snapshot *snapshot)
{
    struct state_worker worker;

    for (uint32_t i = 0; i < snapshot->head.workers; i++) {
        snapshot_get(snapshot, STATE_WORKER, i, &worker);
        bool names_process = worker.pid >= 0; /* to kill(2) the others are groups */
        if (worker.slot >= snapshot->head.slots || worker.state > WORKER_GONE || !names_process ||
            worker.role > ROLE_SUCCESSOR)
            return false;
    }
    return true;
}

static bool are_listeners_sound(const struct snapshot *snapshot)
{
    struct state_listener listener;
    bool is_taken[JOURNAL_LISTENERS_MAX] = {false};

    for (uint32_t i = 0; i < snapshot->head.listeners; i++) {
        snapshot_get(snapshot, STATE_LISTENER, i, &listener);
        if (listener.key.len > sizeof listener.key.storage ||
            listener.asked.len > sizeof listener.asked.storage || !path_is_sound(&listener.path) ||
            listener.counts >= JOURNAL_LISTENERS_MAX || is_taken[listener.counts])
            return false;
        is_taken[listener.counts] = true;
    }
    return true;
}

static bool are_channels_sound(const struct snapshot *snapshot)
{
    struct state_channel channel;

    for (uint32_t i = 0; i < snapshot->head.channels; i++) {
        snapshot_get(snapshot, STATE_CHANNEL, i, &channel);
        if (channel.listener >= snapshot->head.listeners ||
            channel.worker >= snapshot->head.workers)
            return false;
    }
    return true;
}

bool snapshot_open(struct snapshot *snapshot)
{
    uint16_t format;
    size_t len;
    const char *start = journal_snapshot(&len, &format);
    size_t used = 0;

    if (!start || !read_head(snapshot, start, len, format))
        return false;
    for (int kind = 0; kind < STATE_KINDS; kind++) {
        snapshot->tables[kind] = start + used;
        used += (size_t)count_of(&snapshot->head, kind) * snapshot->head.sizes[kind];
        if (used > len)
            return false;
    }
    return used == len && snapshot->head.slots <= CONFIG_WORKERS_MAX &&
           are_workers_sound(snapshot) && are_listeners_sound(snapshot) &&
           are_channels_sound(snapshot);
}

/* Those of the broker itself. */
static void each_own_fd(const struct state_head *head, void (*visit)(int fd, void *context),
                        void *context)
{
    const int fds[] = {
        head->rendezvous_fds[0], head->rendezvous_fds[1], head->text_fds[0], head->text_fds[1],
        head->metrics_fd,        head->lines_fd,          head->events_fd,   head->notices_fd,
    };

    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++)
        if (fds[i] > 0)
            visit(fds[i], context);
    if (head->notices_fd > 0)
        notify_each_fd(head->notices_fd, visit, context);
}

void snapshot_each_fd(const struct snapshot *snapshot, void (*visit)(int fd, void *context),
                      void *context)
{
    struct state_slot slot;
    struct state_listener listener;
    struct state_channel channel;
    struct state_worker worker;

    each_own_fd(&snapshot->head, visit, context);
    for (uint32_t i = 0; i < snapshot->head.slots; i++) {
        snapshot_get(snapshot, STATE_SLOT, i, &slot);
        for (int end = 0; end < 2 && slot.output.reads[end] > 0; end++) {
            visit(slot.output.reads[end], context);
            visit(slot.output.writes[end], context);
        }
    }
    for (uint32_t i = 0; i < snapshot->head.workers; i++) {
        snapshot_get(snapshot, STATE_WORKER, i, &worker);
        if (worker.ready_fd > 0)
            visit(worker.ready_fd, context);
    }
    for (uint32_t i = 0; i < snapshot->head.listeners; i++) {
        snapshot_get(snapshot, STATE_LISTENER, i, &listener);
        visit(listener.canonical_fd, context);
        if (listener.path.folder_fd >= 0)
            visit(listener.path.folder_fd, context);
    }
    for (uint32_t i = 0; i < snapshot->head.channels; i++) {
        snapshot_get(snapshot, STATE_CHANNEL, i, &channel);
        visit(channel.our_fd, context);
        if (channel.their_fd >= 0)
            visit(channel.their_fd, context);
        visit(channel.board_fd, context);
    }
}
