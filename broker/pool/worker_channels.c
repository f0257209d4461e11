/* worker_channels.c - what the channels of a worker tell about it: which listeners it has, what it
 * has accepted, whether it moves. See worker.h. */
#include "broker/base/loop.h"
#include "broker/pool/belief.h"
#include "broker/pool/worker.h"

#define STUCK_MS 200 /* offers untaken for this long: the worker is stuck */

struct channel *worker_find_channel(const struct worker *worker, const struct listener *listener)
{
    struct channel *channel;

    LIST_FOREACH(channel, &worker->channels, of_worker)
        if (channel->listener == listener && !channel->closed)
            return channel;
    return NULL;
}

bool worker_holds(const struct worker *worker, const struct listener *listener)
{
    struct channel *channel;

    LIST_FOREACH(channel, &worker->channels, of_worker)
        if (channel->listener == listener)
            return true;
    return false;
}

unsigned worker_count_channels(const struct worker *worker)
{
    struct channel *channel;
    unsigned count = 0;

    LIST_FOREACH(channel, &worker->channels, of_worker)
        count++;
    return count;
}

static uint64_t sum_channels(const struct worker *worker, uint64_t count(const struct channel *))
{
    uint64_t sum = 0;
    struct channel *channel;

    LIST_FOREACH(channel, &worker->channels, of_worker)
        sum += count(channel);
    return sum;
}

uint64_t worker_accepted(const struct worker *worker)
{
    return worker->accepted + sum_channels(worker, channel_accepted);
}

bool worker_has_accepted_at_port(const struct worker *worker)
{
    const struct channel *channel;

    LIST_FOREACH(channel, &worker->channels, of_worker)
        if (channel_has_accepted_at_port(channel))
            return true;
    return worker->accepted_at_port;
}

uint64_t worker_active(const struct worker *worker)
{
    return sum_channels(worker, channel_active);
}

bool worker_is_at_rest(const struct worker *worker)
{
    const struct channel *channel;

    LIST_FOREACH(channel, &worker->channels, of_worker)
        if (channel_untaken(channel) > 0 || channel_active(channel) > 0)
            return false;
    return true;
}

uint64_t worker_motion(const struct worker *worker)
{
    return sum_channels(worker, channel_motion);
}

bool worker_is_busy(const struct worker *worker)
{
    struct channel *channel;

    LIST_FOREACH(channel, &worker->channels, of_worker)
        if (channel->listening && !channel->closed && belief_is_busy(channel, loop_now_ms()))
            return true;
    return false;
}

bool worker_has_left(const struct worker *worker)
{
    struct channel *channel;

    LIST_FOREACH(channel, &worker->channels, of_worker)
        if (!channel->closed)
            return false;
    return worker->has_listened;
}

static bool is_channel_stuck(const struct channel *channel)
{
    struct channel_reading reading = channel_read(channel);

    return belief_is_overdue(channel, &reading) &&
           (belief_is_unresponsive(channel) ||
            (loop_now_ms() - channel->recall.sent_at_ms >= STUCK_MS &&
             (reading.untaken > 0 || channel->belief.misses > 2)));
}

bool worker_is_stuck(const struct worker *worker)
{
    struct channel *channel;

    if (worker->stopped || worker->stuck)
        return true;
    LIST_FOREACH(channel, &worker->channels, of_worker)
        if (!channel->closed && is_channel_stuck(channel))
            return true;
    return false;
}
