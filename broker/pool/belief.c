/* belief.c - see belief.h. */
#include "broker/pool/belief.h"

#include "broker/base/journal.h"
#include "broker/pool/channel.h"
#include "broker/pool/listener.h"

#define PROBE_MAX_MS 1000
#define UNRESPONSIVE_AFTER                                                                         \
    3 /* offers in a row that it did not accept though it went on waiting                          \
       */

/* Something moved since the last look. */
static bool has_moved(const struct channel *channel, const struct channel_reading *reading)
{
    return reading->waits != channel->belief.seen_waits ||
           reading->accepted != channel->belief.seen_accepted;
}

static void note_counters(struct channel *channel, const struct channel_reading *reading)
{
    struct belief *belief = &channel->belief;

    if (reading->accepted != belief->seen_accepted)
        belief->ignored_offers = 0;
    belief->seen_waits = reading->waits;
    belief->seen_accepted = reading->accepted;
}

static void set_wait_invisible(struct channel *channel, bool wait_invisible)
{
    if (channel->belief.wait_invisible == wait_invisible)
        return;
    channel->belief.wait_invisible = wait_invisible;
    journal_touch();
}

bool belief_is_overdue(const struct channel *channel, const struct channel_reading *reading)
{
    return channel->belief.overdue &&
           (!has_moved(channel, reading) || belief_is_unresponsive(channel));
}

bool belief_is_unresponsive(const struct channel *channel)
{
    return channel->belief.overdue && channel->belief.ignored_offers >= UNRESPONSIVE_AFTER;
}

/* The suspect moved. If it accepted, it was only busy; if it only waited again, it ignores offers.
 */
static void review_overdue(struct channel *channel, const struct channel_reading *reading)
{
    struct belief *belief = &channel->belief;
    uint64_t accepted_before = belief->seen_accepted;

    note_counters(channel, reading);
    if (belief->seen_accepted == accepted_before && belief->ignored_offers < UNRESPONSIVE_AFTER)
        belief->ignored_offers++;
    if (belief_is_unresponsive(channel))
        return;
    belief->overdue = false;
    belief->misses = 0;
}

struct channel_reading belief_observe(struct channel *channel)
{
    if (channel->listener->missing_recalls > 0)
        listener_count_late(channel);
    struct channel_reading reading = channel_read(channel);
    if (channel->belief.overdue && has_moved(channel, &reading))
        review_overdue(channel, &reading);
    if (!channel->belief.overdue &&
        reading.wait_invisible != ((channel->flags & BOARD_WAIT_INVISIBLE) != 0))
        channel_set_flag(channel, BOARD_WAIT_INVISIBLE, reading.wait_invisible);
    return reading;
}

bool belief_is_idle(const struct channel *channel, const struct channel_reading *reading,
                    int64_t now_ms)
{
    if (belief_is_overdue(channel, reading))
        return reading->untaken == 0 && now_ms >= channel->belief.probe_at_ms;
    if (reading->wait_invisible)
        return reading->untaken == 0;
    return reading->waiting > reading->untaken;
}

bool belief_is_busy(const struct channel *channel, int64_t now_ms)
{
    struct channel_reading reading = channel_read(channel);

    return !belief_is_idle(channel, &reading, now_ms) ||
           (belief_is_overdue(channel, &reading) && reading.waiting == 0);
}

void belief_begin_probe(struct channel *channel)
{
    struct channel_reading reading = channel_read(channel);

    note_counters(channel, &reading);
    channel->belief.probing = true;
}

bool belief_end_probe(struct channel *channel)
{
    struct belief *belief = &channel->belief;
    bool unseen = belief->probing && !belief->wait_invisible &&
                  channel_read(channel).waits == belief->seen_waits;

    belief->probing = false;
    if (unseen)
        set_wait_invisible(channel, true);
    return unseen;
}

void belief_note_overdue(struct channel *channel, int64_t now_ms, unsigned accept_timeout_ms)
{
    struct belief *belief = &channel->belief;
    struct channel_reading reading = channel_read(channel);
    int64_t pause_ms = (int64_t)accept_timeout_ms << (belief->misses < 10 ? belief->misses : 10);

    note_counters(channel, &reading);
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
