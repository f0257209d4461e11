/* test_snapshot.c - a snapshot that would lead outside, or name somebody else, is none. */
#include <string.h>

#include "broker/base/journal.h"
#include "broker/survive/snapshot.h"
#include "unit.h"

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

static void forged(void)
{
    CHECK(journal_init() == 0);
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

int main(void)
{
    unit_run("snapshot: numbers that lead outside make it none", forged);
    return unit_end();
}
