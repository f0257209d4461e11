/* belief.c - see belief.h. */
#include "broker/pool/belief.h"

#include <stdatomic.h>

#include "broker/base/journal.h"
#include "broker/pool/channel.h"
#include "broker/pool/listener.h"

#define PROBE_MAX_MS 1000
#define UNRESPONSIVE_AFTER                                                                         \
    3 /* offers in a row that it did not accept though it went on waiting                          \
       */
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
        belief->ignored_offers = 0;
    belief->seen_waits = read_waits(channel);
    belief->seen_accepted = accepted;
}

static void set_wait_invisible(struct channel *channel, bool wait_invisible)
{
    if (channel->belief.wait_invisible == wait_invisible)
        return;
    channel->belief.wait_invisible = wait_invisible;
    journal_touch();
}

bool belief_is_overdue(const struct channel *channel)
{
    return channel->belief.overdue && (!has_moved(channel) || belief_is_unresponsive(channel));
}

/* No wait of this worker was ever seen, or those that were seen told nothing. */
static bool is_wait_invisible(const struct channel *channel)
{
    return channel->belief.wait_invisible || read_waits(channel) == 0;
}

bool belief_has_few_fds(const struct channel *channel)
{
    return board_has_worker_flag(channel->board, BOARD_FDS_LOW);
}

bool belief_is_unresponsive(const struct channel *channel)
{
    return channel->belief.overdue && channel->belief.ignored_offers >= UNRESPONSIVE_AFTER;
}

/* The suspect moved. One that was only busy has accepted; one that only waited again is deaf. */
static void review_overdue(struct channel *channel)
{
    struct belief *belief = &channel->belief;
    uint64_t accepted_before = belief->seen_accepted;

    note_counters(channel);
    if (belief->seen_accepted == accepted_before && belief->ignored_offers < UNRESPONSIVE_AFTER)
        belief->ignored_offers++;
    if (belief_is_unresponsive(channel))
        return;
    belief->overdue = false;
    belief->misses = 0;
}

void belief_observe(struct channel *channel)
{
    listener_count_late(channel);
    if (channel->belief.overdue && has_moved(channel))
        review_overdue(channel);
    if (!channel->belief.overdue)
        channel_set_flag(channel, BOARD_WAIT_INVISIBLE, is_wait_invisible(channel));
}

bool belief_is_idle(const struct channel *channel, int64_t now_ms)
{
    uint32_t untaken = channel_untaken(channel);

    if (belief_is_overdue(channel))
        return untaken == 0 && now_ms >= channel->belief.probe_at_ms;
    if (is_wait_invisible(channel))
        return untaken == 0;
    return read_waiting(channel) > untaken;
}

bool belief_is_busy(const struct channel *channel, int64_t now_ms)
{
    return !belief_is_idle(channel, now_ms) ||
           (belief_is_overdue(channel) && read_waiting(channel) == 0);
}

void belief_begin_probe(struct channel *channel)
{
    note_counters(channel);
    channel->belief.probing = true;
}

bool belief_end_probe(struct channel *channel)
{
    struct belief *belief = &channel->belief;
    bool unseen =
        belief->probing && !belief->wait_invisible && read_waits(channel) == belief->seen_waits;

    belief->probing = false;
    if (unseen)
        set_wait_invisible(channel, true);
    return unseen;
}

void belief_note_overdue(struct channel *channel, int64_t now_ms, unsigned recall_ms)
{
    struct belief *belief = &channel->belief;
    int64_t pause_ms = (int64_t)recall_ms << (belief->misses < 10 ? belief->misses : 10);

    note_counters(channel);
    belief->overdue = true;
    set_wait_invisible(channel, false);
    belief->probing = false;
    belief->misses++;
    belief->probe_at_ms = now_ms + (pause_ms < PROBE_MAX_MS ? pause_ms : PROBE_MAX_MS);
}

void belief_restore(struct channel *channel, bool wait_invisible)
{
    channel->belief.wait_invisible = wait_invisible;
}
