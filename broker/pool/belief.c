/* belief.c - see belief.h. */
#include "broker/pool/belief.h"

#include <stdatomic.h>

#include "broker/base/journal.h"
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

static uint32_t read_waits(const struct channel *channel)
{
    return atomic_load_explicit(&channel->board->worker.waits, memory_order_relaxed);
}

/* Something moved since the last look. */
static bool has_moved(const struct channel *channel)
{
    return read_waits(channel) != channel->belief.seen_waits ||
           channel_accepted(channel) != channel->belief.seen_accepted;
}

static void note_counters(struct channel *channel)
{
    struct belief *belief = &channel->belief;
    uint64_t accepted = channel_accepted(channel);

    if (accepted != belief->seen_accepted)
        belief->unheard = 0;
    belief->seen_waits = read_waits(channel);
    belief->seen_accepted = accepted;
}

static void set_blind(struct channel *channel, bool blind)
{
    if (channel->belief.blind == blind)
        return;
    channel->belief.blind = blind;
    journal_touch();
}

bool belief_is_suspect(const struct channel *channel)
{
    return channel->belief.suspect && (!has_moved(channel) || belief_is_deaf(channel));
}

/* No wait of this worker was ever seen, or those that were seen told nothing. */
static bool is_blind(const struct channel *channel)
{
    return channel->belief.blind || read_waits(channel) == 0;
}

bool belief_is_crowded(const struct channel *channel)
{
    return board_has_worker_flag(channel->board, BOARD_CROWDED);
}

bool belief_is_deaf(const struct channel *channel)
{
    return channel->belief.suspect && channel->belief.unheard >= DEAF_AFTER;
}

/* The suspect moved. One that was only busy has accepted; one that only waited again is deaf. */
static void review_suspect(struct channel *channel)
{
    struct belief *belief = &channel->belief;
    uint64_t accepted_before = belief->seen_accepted;

    note_counters(channel);
    if (belief->seen_accepted == accepted_before && belief->unheard < DEAF_AFTER)
        belief->unheard++;
    if (belief_is_deaf(channel))
        return;
    belief->suspect = false;
    belief->misses = 0;
}

void belief_observe(struct channel *channel)
{
    listener_count_late(channel);
    if (channel->belief.suspect && has_moved(channel))
        review_suspect(channel);
    if (!channel->belief.suspect)
        channel_set_flag(channel, BOARD_BLIND, is_blind(channel));
}

bool belief_is_idle(const struct channel *channel, int64_t now_ms)
{
    uint32_t untaken = channel_untaken(channel);

    if (belief_is_suspect(channel))
        return untaken == 0 && now_ms >= channel->belief.probe_at_ms;
    if (is_blind(channel))
        return untaken == 0;
    return read_waiting(channel) > untaken;
}

bool belief_is_busy(const struct channel *channel, int64_t now_ms)
{
    return !belief_is_idle(channel, now_ms) ||
           (belief_is_suspect(channel) && read_waiting(channel) == 0);
}

void belief_begin_probe(struct channel *channel)
{
    note_counters(channel);
    channel->belief.probing = true;
}

bool belief_end_probe(struct channel *channel)
{
    struct belief *belief = &channel->belief;
    bool unseen = belief->probing && !belief->blind && read_waits(channel) == belief->seen_waits;

    belief->probing = false;
    if (unseen)
        set_blind(channel, true);
    return unseen;
}

void belief_suspect(struct channel *channel, int64_t now_ms, unsigned recall_ms)
{
    struct belief *belief = &channel->belief;
    int64_t pause_ms = (int64_t)recall_ms << (belief->misses < 10 ? belief->misses : 10);

    note_counters(channel);
    belief->suspect = true;
    set_blind(channel, false);
    belief->probing = false;
    belief->misses++;
    belief->probe_at_ms = now_ms + (pause_ms < PROBE_MAX_MS ? pause_ms : PROBE_MAX_MS);
}

void belief_restore(struct channel *channel, bool blind)
{
    channel->belief.blind = blind;
}
