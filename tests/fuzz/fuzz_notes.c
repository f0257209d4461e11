/* fuzz_notes.c - what a worker may write into the ring of its notes. */
#include <string.h>

#include "broker/operate/tell/conn_log/conn_notes.h"
#include "fuzz.h"

#define NOW_MS INT64_C(0x123456789)
#define HEAD 16 /* bytes: next, read, lost, state.read */

/* Behind the head a note each, from the one that is read first. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static struct notes ring;
    struct channel_notes state = {0};
    struct conn_note note;
    uint32_t head[HEAD / sizeof(uint32_t)];
    unsigned reads = 0;

    if (len < HEAD)
        return 0;
    memcpy(head, bytes, HEAD);
    memset(&ring, 0, sizeof ring);
    ring.next = head[0];
    ring.read = head[1];
    ring.lost = head[2];
    state.read = head[3];
    for (size_t at = HEAD, i = 0; at < len; at += sizeof(struct note), i++)
        memcpy(&ring.at[(state.read + i) % NOTES_MAX], bytes + at,
               len - at < sizeof(struct note) ? len - at : sizeof(struct note));
    conn_notes_take_lost(&ring);
    for (int64_t now_ms = NOW_MS; reads <= NOTES_MAX + 1; now_ms += 2000) {
        enum conn_note_kind kind =
            conn_notes_read(&ring, &state, bytes[0] & 1 ? AF_INET : AF_INET6, now_ms, &note);
        if (kind == CONN_NOTE_NONE && ring.next == state.read)
            break;
        reads += kind != CONN_NOTE_NONE;
        if (kind == CONN_NOTE_TAKEN) {
            MUST(note.client.family == note.key.family && note.wait_ms >= -1);
            MUST(note.turn == state.read && !note.key.cookie);
        }
        if (kind == CONN_NOTE_TAKEN || kind == CONN_NOTE_CLOSED)
            MUST(note.at_ms <= now_ms && now_ms - note.at_ms <= INT32_MAX);
    }
    MUST(reads <= NOTES_MAX + 1 && (reads == 0 || ring.read == state.read));
    return 0;
}
