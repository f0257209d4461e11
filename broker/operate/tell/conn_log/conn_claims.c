/* conn_claims.c - see conn_claims.h. */
#include "broker/operate/tell/conn_log/conn_claims.h"

#include <string.h>

#include "broker/operate/tell/conn_log/conn_line.h"
#include "broker/operate/tell/conn_log/conn_notes.h"
#include "broker/pool/listener.h"
#include "broker/pool/worker.h"

#define OPEN_MAX (CONN_TABLE_MAX / 2) /* records of a slot, of which a worker may fill */
#define PROOFS 64                     /* closes that are confirmed before others are believed, */
#define PROOFS_AGAIN 1024             /* and after one that was not true */
#define SAMPLE 16
#define UNNOTED_MAX 8 /* ends in a row without a note: this worker closes unseen */

uint32_t conn_claims_level(const struct channel *channel)
{
    return (channel->flags & BOARD_NOTES) && channel->notes.unnoted < UNNOTED_MAX ? CONN_LEVEL_NOTED
                                                                                  : 0;
}

static void begin(struct channel *channel, const struct conn_note *note, int64_t now_ms)
{
    const struct listener *listener = channel->listener;
    struct conn_kept conn = {.slot = worker_slot(channel->worker),
                             .key = note->key,
                             .client = note->client,
                             .turn = note->turn,
                             .forks = note->forks,
                             .handed_ms = note->at_ms,
                             .wait_ms = note->wait_ms,
                             .channel = channel->id};

    conn.key.device = (uint16_t)listener->socket.device;
    if (note->client.family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&note->client.in6.sin6_addr))
        conn.key.device = (uint16_t)note->client.in6.sin6_scope_id;
    memcpy(&conn.listener, &listener->bound.storage, sizeof conn.listener);
    if (conn_table_count_slot(conn.slot) >= OPEN_MAX ||
        !conn_table_add(&conn, &channel->notes, conn_claims_level(channel), now_ms))
        conn_line_tell(&conn, -1);
}

static bool is_believed(struct channel_notes *notes, const struct conn *conn)
{
    return !conn->is_forked && notes->proven >= PROOFS && ++notes->sample % SAMPLE != 0;
}

static void end(struct channel *channel, const struct conn_note *note, int64_t now_ms)
{
    struct channel_notes *notes = &channel->notes;
    struct conn *conn = note->turn ? conn_table_find_taken(channel->id, note->turn)
                                   : conn_table_find(note->key.cookie);

    if (!conn || conn->kept->channel != channel->id)
        return;
    notes->unnoted = 0;
    conn->is_forked = note->forks != conn->kept->forks;
    conn->noted_ms = note->at_ms > conn->kept->handed_ms ? note->at_ms : conn->kept->handed_ms;
    if (!is_believed(notes, conn)) {
        conn_table_hurry(conn, now_ms);
        return;
    }
    conn_line_tell(conn->kept, conn->noted_ms - conn->kept->handed_ms);
    conn_table_remove(conn);
}

void conn_claims_learn(struct conn *conn, bool is_open)
{
    struct channel_notes *notes = conn->notes;

    if (notes && conn->noted_ms && !conn->is_forked)
        notes->proven = is_open ? PROOFS - PROOFS_AGAIN : notes->proven + (notes->proven < PROOFS);
    if (notes && !conn->noted_ms && !is_open)
        notes->unnoted++;
    if (is_open)
        conn->noted_ms = 0;
}

unsigned conn_claims_read(struct channel *channel, unsigned at_most, int64_t now_ms)
{
    struct notes *ring = &channel->board->notes;
    sa_family_t family = channel->listener->bound.storage.ss_family;
    struct conn_note note;
    uint32_t lost = conn_notes_take_lost(ring);
    unsigned count = 0;

    for (; count < at_most; count++) {
        enum conn_note_kind kind = conn_notes_read(ring, &channel->notes, family, now_ms, &note);
        if (kind == CONN_NOTE_NONE)
            break;
        if (kind == CONN_NOTE_TAKEN)
            begin(channel, &note, now_ms);
        else if (kind == CONN_NOTE_CLOSED)
            end(channel, &note, now_ms);
        else
            lost++;
    }
    if (lost)
        conn_line_drop(lost);
    return count;
}
