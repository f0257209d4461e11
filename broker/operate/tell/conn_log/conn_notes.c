/* conn_notes.c - see conn_notes.h. */
#include "broker/operate/tell/conn_log/conn_notes.h"

#include <string.h>

#define UNWRITTEN_MS 1000 /* its writer was killed in between */
#define WAIT_MAX_MS INT32_MAX
#define LOST_MAX (1u << 20) /* in one look: more than any worker takes */

void conn_notes_begin(struct notes *ring, struct channel_notes *state, bool is_new)
{
    if (is_new) {
        atomic_store(&ring->read, atomic_load(&ring->next));
        atomic_store(&ring->lost, 0);
    }
    state->read = atomic_load(&ring->read);
}

uint32_t conn_notes_take_lost(struct notes *ring)
{
    uint32_t lost = atomic_load(&ring->lost) ? atomic_exchange(&ring->lost, 0) : 0;

    return lost < LOST_MAX ? lost : LOST_MAX;
}

/* The clock of the note is the lower half of ours. */
static int64_t read_time(uint32_t at_ms, int64_t now_ms)
{
    uint32_t age_ms = (uint32_t)now_ms - at_ms;

    return age_ms <= INT32_MAX ? now_ms - age_ms : now_ms;
}

/* The port is in the same place in both families. */
static uint16_t read_end(const struct sockaddr_in6 *from, uint8_t host[16])
{
    const struct sockaddr_in *in = (const struct sockaddr_in *)from;

    if (from->sin6_family == AF_INET)
        memcpy(host, &in->sin_addr, sizeof in->sin_addr);
    else
        memcpy(host, &from->sin6_addr, sizeof from->sin6_addr);
    return in->sin_port;
}

static enum conn_note_kind judge(const struct note *from, sa_family_t family, int64_t now_ms,
                                 struct conn_note *note)
{
    *note =
        (struct conn_note){.at_ms = read_time(from->at_ms, now_ms),
                           .wait_ms = from->wait_ms <= WAIT_MAX_MS ? (int64_t)from->wait_ms : -1,
                           .forks = from->forks,
                           .turn = from->turn,
                           .key = {.family = family}};
    if (from->kind == NOTE_CLOSE) {
        note->turn = from->taken;
        note->key.cookie = from->taken ? 0 : from->cookie;
        return CONN_NOTE_CLOSED;
    }
    if (from->kind != NOTE_TAKE || from->peer.sin6_family != family ||
        from->local.sin6_family != family)
        return CONN_NOTE_BAD;
    note->key.local_port = read_end(&from->local, note->key.local);
    note->key.peer_port = read_end(&from->peer, note->key.peer);
    if (family == AF_INET)
        memcpy(&note->client.in, &from->peer, sizeof note->client.in);
    else
        note->client.in6 = from->peer;
    return CONN_NOTE_TAKEN;
}

/* False: it is reserved, and its writer may still be about to write it. */
static bool is_settled(const struct note *place, struct channel_notes *state, int64_t now_ms)
{
    if (atomic_load_explicit(&place->turn, memory_order_acquire) == state->read + 1)
        return true;
    if (!state->unwritten_ms)
        state->unwritten_ms = now_ms;
    return now_ms - state->unwritten_ms >= UNWRITTEN_MS;
}

enum conn_note_kind conn_notes_read(struct notes *ring, struct channel_notes *state,
                                    sa_family_t family, int64_t now_ms, struct conn_note *note)
{
    uint32_t next = atomic_load_explicit(&ring->next, memory_order_acquire);
    const struct note *place = &ring->at[state->read % NOTES_MAX];
    struct note copy;

    if (next - state->read > NOTES_MAX) { /* no library does that */
        state->read = next;
        atomic_store(&ring->read, next);
        return CONN_NOTE_BAD;
    }
    if (next == state->read || !is_settled(place, state, now_ms))
        return CONN_NOTE_NONE;
    memcpy(&copy, place, sizeof copy);
    state->unwritten_ms = 0;
    bool is_whole = copy.turn == ++state->read;
    /* before it is told: a broker that is killed in between tells it once at most */
    atomic_store_explicit(&ring->read, state->read, memory_order_release);
    return is_whole ? judge(&copy, family, now_ms, note) : CONN_NOTE_BAD;
}
