/* test_snapshot.c - snapshots of an older version are read, of a newer one that added fields too.
 */
#include <stddef.h>
#include <string.h>

#include "broker/base/journal.h"
#include "broker/survive/snapshot.h"
#include "unit.h"

/* As the first format has them. */
struct first_head {
    uint32_t slots, workers, listeners, channels;
    int32_t rendezvous_fds[2];
    uint32_t rest[6];
};
struct first_slot {
    uint64_t rest[2];
};
struct first_worker {
    uint32_t slot, rest[5];
    int32_t pid;
    uint32_t generation;
    uint8_t token[16];
    uint64_t rest_too[4];
};

static void publish(const void *bytes, size_t len, uint16_t format)
{
    size_t room;

    memcpy(journal_snapshot_room(&room), bytes, len);
    journal_publish_snapshot(len, format);
}

static void reads_first_format(void)
{
    struct {
        struct first_head head;
        struct first_slot slots[2];
        struct first_worker workers[2];
    } old = {.head = {.slots = 2, .workers = 2, .rendezvous_fds = {5, 6}},
             .workers = {{.pid = 10}, {.slot = 1, .pid = 11, .generation = 3}}};
    struct snapshot snapshot;
    struct state_worker worker;

    publish(&old, sizeof old, 0);
    CHECK(snapshot_open(&snapshot));
    CHECK(snapshot.head.slots == 2 && snapshot.head.rendezvous_fds[1] == 6);
    snapshot_get(&snapshot, STATE_WORKER, 1, &worker);
    CHECK(worker.slot == 1 && worker.pid == 11 && worker.generation == 3);
    publish(&old, sizeof old - 1, 0);
    CHECK(!snapshot_open(&snapshot));
}

static void reads_longer_records(void)
{
    struct longer_worker {
        struct state_worker worker;
        uint64_t more;
    };
    struct {
        struct state_head head;
        uint64_t more;
        struct state_slot slots[1];
        struct longer_worker workers[2];
    } newer = {.head = {.slots = 1, .workers = 2},
               .more = 9,
               .workers = {{{.pid = 10}, 7}, {{.pid = 11}, 8}}};
    struct snapshot snapshot;
    struct state_worker worker;

    snapshot_note_sizes(&newer.head);
    newer.head.sizes[STATE_HEAD] += sizeof newer.more;
    newer.head.sizes[STATE_WORKER] = sizeof newer.workers[0];
    publish(&newer, sizeof newer, SNAPSHOT_FORMAT);
    CHECK(snapshot_open(&snapshot));
    snapshot_get(&snapshot, STATE_WORKER, 1, &worker);
    CHECK(worker.pid == 11);
}

static void refuses_what_it_does_not_know(void)
{
    struct {
        struct state_head head;
    } newer = {{0}};
    struct snapshot snapshot;

    snapshot_note_sizes(&newer.head);
    publish(&newer, sizeof newer, SNAPSHOT_FORMAT);
    CHECK(snapshot_open(&snapshot));
    publish(&newer, sizeof newer, SNAPSHOT_FORMAT + 1);
    CHECK(!snapshot_open(&snapshot));
    newer.head.sizes[STATE_WORKER] = 8;
    publish(&newer, sizeof newer, SNAPSHOT_FORMAT);
    CHECK(!snapshot_open(&snapshot));
    newer.head.sizes[STATE_WORKER] = UINT32_MAX;
    newer.head.workers = UINT32_MAX;
    publish(&newer, sizeof newer, SNAPSHOT_FORMAT);
    CHECK(!snapshot_open(&snapshot));
    publish(&newer, sizeof newer.head.slots, SNAPSHOT_FORMAT);
    CHECK(!snapshot_open(&snapshot));
}

static struct {
    struct state_head head;
    struct state_slot slot;
    struct state_worker worker;
    struct state_listener listeners[2];
    struct state_channel channel;
} made;

static void make(void)
{
    memset(&made, 0, sizeof made);
    snapshot_note_sizes(&made.head);
    made.head.slots = made.head.workers = made.head.channels = 1;
    made.head.listeners = 2;
    made.worker.pid = 1;
    made.listeners[0].path.folder_fd = made.listeners[1].path.folder_fd = -1;
    made.listeners[1].counts = 1;
}

static bool is_read(void)
{
    struct snapshot snapshot;
    size_t size;

    memcpy(journal_snapshot_room(&size), &made, sizeof made);
    journal_publish_snapshot(sizeof made, SNAPSHOT_FORMAT);
    return snapshot_open(&snapshot);
}

static void refuses_numbers_that_lead_outside(void)
{
    make();
    CHECK(is_read());
    made.listeners[0].counts = JOURNAL_LISTENERS_MAX;
    CHECK(!is_read());
    make();
    made.listeners[0].counts = 1; /* the other one's */
    CHECK(!is_read());
    make();
    made.worker.pid = -1; /* everybody, to kill(2) */
    CHECK(!is_read());
    make();
    made.worker.role = 7;
    CHECK(!is_read());
    make();
    made.worker.slot = 1;
    CHECK(!is_read());
    make();
    made.channel.listener = 2;
    CHECK(!is_read());
    make();
    made.head.channels = 2;
    CHECK(!is_read());
}

static void start_journal(void)
{
    CHECK(journal_init() == 0);
}

int main(void)
{
    unit_run("snapshot: there is a journal", start_journal);
    unit_run("snapshot: the first format is read", reads_first_format);
    unit_run("snapshot: records that have grown are read", reads_longer_records);
    unit_run("snapshot: what it does not know it refuses", refuses_what_it_does_not_know);
    unit_run("snapshot: numbers that lead outside make it none", refuses_numbers_that_lead_outside);
    return unit_end();
}
