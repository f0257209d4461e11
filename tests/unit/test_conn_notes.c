/* test_conn_notes.c - what the broker reads of a worker's notes, whatever the worker writes. */
#include <arpa/inet.h>
#include <string.h>

#include "broker/operate/tell/conn_log/conn_notes.h"
#include "tests/unit/unit.h"

static struct notes ring;
static struct channel_notes state;
static struct conn_note note;

static void begin(void)
{
    memset(&ring, 0, sizeof ring);
    memset(&state, 0, sizeof state);
}

/* As the library writes it. */
static struct note *add(enum note_kind kind)
{
    struct note *made = &ring.at[ring.next % NOTES_MAX];
    struct sockaddr_in end = {.sin_family = AF_INET, .sin_port = htons(4711)};

    *made = (struct note){.kind = kind, .at_ms = 5000, .wait_ms = 3, .forks = 2};
    end.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    memcpy(&made->peer, &end, sizeof end);
    memcpy(&made->local, &end, sizeof end);
    made->turn = ++ring.next;
    return made;
}

static enum conn_note_kind read_at(int64_t now_ms)
{
    return conn_notes_read(&ring, &state, AF_INET, now_ms, &note);
}

static void test_take_and_close(void)
{
    begin();
    CHECK(read_at(6000) == CONN_NOTE_NONE);
    add(NOTE_TAKE);
    struct note *closed = add(NOTE_CLOSE);
    closed->taken = 1;
    CHECK(read_at(6000) == CONN_NOTE_TAKEN && ring.read == 1);
    CHECK(note.turn == 1 && note.at_ms == 5000 && note.wait_ms == 3 && note.forks == 2);
    CHECK(note.client.family == AF_INET && ntohs(note.client.in.sin_port) == 4711);
    CHECK(note.key.family == AF_INET && ntohs(note.key.local_port) == 4711 && !note.key.cookie);
    CHECK(read_at(6000) == CONN_NOTE_CLOSED && note.turn == 1 && !note.key.cookie);
    add(NOTE_CLOSE)->cookie = 77;
    CHECK(read_at(6000) == CONN_NOTE_CLOSED && note.turn == 0 && note.key.cookie == 77);
    CHECK(read_at(6000) == CONN_NOTE_NONE && conn_notes_take_lost(&ring) == 0);
}

static void test_times(void)
{
    const int64_t now_ms = INT64_C(0x300001000); /* the lower half has begun anew */

    begin();
    add(NOTE_TAKE)->at_ms = 0xfffffff0u;
    CHECK(read_at(now_ms) == CONN_NOTE_TAKEN && note.at_ms == now_ms - 0x1010);
    add(NOTE_TAKE)->at_ms = 0x2000; /* to come */
    CHECK(read_at(now_ms) == CONN_NOTE_TAKEN && note.at_ms == now_ms);
    add(NOTE_TAKE)->wait_ms = NOTES_NO_WAIT;
    CHECK(read_at(now_ms) == CONN_NOTE_TAKEN && note.wait_ms == -1);
}

static void test_nonsense(void)
{
    begin();
    add(NOTE_CLOSE + 1);
    add(NOTE_TAKE)->peer.sin6_family = AF_UNIX;
    add(NOTE_TAKE)->local.sin6_family = AF_INET6;
    for (int i = 0; i < 3; i++)
        CHECK(read_at(6000) == CONN_NOTE_BAD);
    add(NOTE_TAKE);
    CHECK(read_at(6000) == CONN_NOTE_TAKEN);
    ring.next += NOTES_MAX + 1; /* more than there is room for */
    CHECK(read_at(6000) == CONN_NOTE_BAD && read_at(6000) == CONN_NOTE_NONE);
    CHECK(ring.read == ring.next);
    ring.next -= 5;
    CHECK(read_at(6000) == CONN_NOTE_BAD && read_at(6000) == CONN_NOTE_NONE);
    ring.lost = UINT32_MAX;
    CHECK(conn_notes_take_lost(&ring) < UINT32_MAX && conn_notes_take_lost(&ring) == 0);
}

/* Its writer was killed, or is slow. */
static void test_unwritten(void)
{
    begin();
    struct note *first = add(NOTE_TAKE);
    add(NOTE_TAKE);
    first->turn = 0;
    CHECK(read_at(6000) == CONN_NOTE_NONE && read_at(6900) == CONN_NOTE_NONE && ring.read == 0);
    first->turn = 1;
    CHECK(read_at(6900) == CONN_NOTE_TAKEN && read_at(6900) == CONN_NOTE_TAKEN);
    add(NOTE_TAKE)->turn = 0;
    add(NOTE_TAKE);
    CHECK(read_at(7000) == CONN_NOTE_NONE && read_at(7999) == CONN_NOTE_NONE);
    CHECK(read_at(8000) == CONN_NOTE_BAD && read_at(8000) == CONN_NOTE_TAKEN && note.turn == 4);
}

/* Of a broker that was killed, or from when on it is asked for. */
static void test_go_on(void)
{
    begin();
    add(NOTE_TAKE);
    add(NOTE_TAKE);
    CHECK(read_at(6000) == CONN_NOTE_TAKEN);
    state = (struct channel_notes){0};
    conn_notes_begin(&ring, &state, false);
    CHECK(read_at(6000) == CONN_NOTE_TAKEN && note.turn == 2 && read_at(6000) == CONN_NOTE_NONE);
    add(NOTE_TAKE);
    ring.lost = 4;
    conn_notes_begin(&ring, &state, true);
    CHECK(read_at(6000) == CONN_NOTE_NONE && conn_notes_take_lost(&ring) == 0);
}

int main(void)
{
    unit_run("a take and a close are read as they were written", test_take_and_close);
    unit_run("no time is in the future, and the lower half is completed", test_times);
    unit_run("nonsense is counted and passed over", test_nonsense);
    unit_run("a note that is not written yet is waited for, but not for ever", test_unwritten);
    unit_run("the next broker goes on where the last one was", test_go_on);
    return unit_end();
}
