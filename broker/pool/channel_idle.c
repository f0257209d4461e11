/* channel_idle.c - how far a worker is believed when it says that it waits; see channel.h. */
#include <stdatomic.h>

#include "broker/pool/channel.h"
#include "broker/pool/listener.h"

#define PROBE_MAX_MS 1000
#define DEAF_AFTER 3 /* offers in a row that it did not accept though it went on waiting */
#define WAITING_MAX                                                                                \
    4096 /* no server has more threads in accept than this; larger numbers are noise */

static uint32_t read_waiting(const struct channel *channel)
{
    uint32_t waiting = atomic_load(&channel->board->worker.waiting);
    return waiting <= WAITING_MAX ? waiting : 0;
}

/* Something moved since the last look: whatever we suspected, somebody is at home. */
static bool shows_life(struct channel *channel)
{
    uint32_t waits = atomic_load_explicit(&channel->board->worker.waits, memory_order_relaxed);
    uint64_t accepted = channel_accepted(channel);
    bool moved = waits != channel->seen_waits || accepted != channel->seen_accepted;

    if (accepted != channel->seen_accepted)
        channel->unheard = 0;
    channel->seen_waits = waits;
    channel->seen_accepted = accepted;
    return moved;
}

/* The suspect waits again. Whoever was only busy accepts then. */
static void note_unheard(struct channel *channel, uint64_t accepted_before)
{
    if (channel->seen_accepted == accepted_before && channel->unheard < DEAF_AFTER)
        channel->unheard++;
}

bool channel_is_crowded(const struct channel *channel)
{
    return board_has_worker_flag(channel->board, BOARD_CROWDED);
}

bool channel_is_deaf(const struct channel *channel)
{
    return channel->suspect && channel->unheard >= DEAF_AFTER;
}

bool channel_is_idle(struct channel *channel, int64_t now_ms)
{
    channel_count_late(channel);
    uint32_t untaken = channel_untaken(channel);

    if (channel->suspect) {
        uint64_t accepted = channel->seen_accepted;
        bool alive = shows_life(channel);
        if (alive)
            note_unheard(channel, accepted);
        if (!alive || channel_is_deaf(channel))
            return untaken == 0 && now_ms >= channel->probe_at_ms;
        channel->suspect = false;
        channel->misses = 0;
    }
    bool never_waited =
        atomic_load_explicit(&channel->board->worker.waits, memory_order_relaxed) == 0;
    channel_set_flag(channel, BOARD_BLIND, never_waited || channel->blind);
    if (never_waited || channel->blind)
        return untaken == 0;
    return read_waiting(channel) > untaken;
}

bool channel_is_busy(struct channel *channel, int64_t now_ms)
{
    return !channel_is_idle(channel, now_ms) || (channel->suspect && read_waiting(channel) == 0);
}

void channel_begin_probe(struct channel *channel)
{
    shows_life(channel);
    channel->probing = true;
}

bool channel_ends_probe(struct channel *channel)
{
    uint32_t waits = atomic_load_explicit(&channel->board->worker.waits, memory_order_relaxed);
    bool unseen = channel->probing && !channel->blind && waits == channel->seen_waits;

    channel->probing = false;
    channel->blind |= unseen;
    return unseen;
}

void channel_suspect(struct channel *channel, int64_t now_ms, unsigned recall_ms)
{
    int64_t pause_ms = (int64_t)recall_ms << (channel->misses < 10 ? channel->misses : 10);

    shows_life(channel);
    channel->suspect = true;
    channel->blind = false;
    channel->probing = false;
    channel->misses++;
    channel->probe_at_ms = now_ms + (pause_ms < PROBE_MAX_MS ? pause_ms : PROBE_MAX_MS);
}
