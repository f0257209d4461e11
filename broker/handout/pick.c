/* pick.c - see pick.h. */
#include "broker/handout/pick.h"

#include "broker/base/address.h"
#include "broker/pool/belief.h"
#include "broker/pool/worker.h"

bool pick_is_eligible(const struct channel *channel)
{
    return channel->listening && !channel->closed && worker_takes_connections(channel->worker);
}

/* Whether a is the better choice. */
static bool is_better(const struct channel *a, const struct channel *b, enum config_balance balance)
{
    if (balance == BALANCE_FIRST)
        return worker_slot(a->worker) < worker_slot(b->worker);
    return channel_active(a) < channel_active(b);
}

/* Nobody can be better: each look at another one costs a cache miss or two. */
static bool is_best(const struct channel *channel, enum config_balance balance)
{
    return balance == BALANCE_LEASTCONN && channel_active(channel) == 0;
}

/*
 * Whether somebody with fewer connections than this idle one is on its way back: it was given one
 * just now and only needs the processor to take it. Else the first that runs gets a whole burst.
 */
static bool is_worth_waiting(const struct listener *listener, const struct channel *best,
                             int64_t now_ms)
{
    uint64_t active = channel_active(best);
    uint32_t reach = listener->channel_count < PICK_WINDOW ? listener->channel_count : PICK_WINDOW;

    for (uint32_t i = 0; active > 1 + listener->allowance && i < reach; i++) {
        const struct channel *channel = listener->channels[i];
        if (now_ms - channel->given_ms < PICK_PATIENCE_MS && pick_is_eligible(channel) &&
            !channel->belief.overdue && !belief_has_few_fds(channel) &&
            channel_active(channel) + channel_untaken(channel) < active)
            return true;
    }
    return false;
}

struct search {
    enum config_balance balance;
    uint32_t found;
    bool has_room;   /* somebody, if only he were idle */
    uint64_t motion; /* of all who have room */
    struct channel *best;
    struct channel *fds_low; /* the best of those that are */
};

static void consider(struct search *search, struct channel *channel, int64_t now_ms)
{
    bool fds_low = belief_has_few_fds(channel);
    struct channel **best = fds_low ? &search->fds_low : &search->best;

    if (!fds_low && !channel->worker->stuck) {
        search->has_room = true;
        search->motion += channel_motion(channel);
    }
    belief_observe(channel);
    if (!belief_is_idle(channel, now_ms))
        return;
    search->found += !fds_low;
    if (!*best || is_better(channel, *best, search->balance))
        *best = channel;
}

/* Whether nobody who has room has moved for a while; one who comes or goes is a move as well. */
static bool is_at_rest(struct listener *listener, uint64_t motion, int64_t now_ms)
{
    if (listener->seen_motion != motion) {
        listener->seen_motion = motion;
        listener->moved_ms = now_ms;
    }
    return now_ms - listener->moved_ms >= PICK_REST_MS;
}

static struct channel *channel_from_cursor(const struct listener *listener, uint32_t i)
{
    uint32_t at = listener->cursor + i;
    return listener->channels[at < listener->channel_count ? at : at - listener->channel_count];
}

static void set_cursor_behind(struct listener *listener, const struct channel *channel)
{
    listener->cursor = channel->position + 1 < listener->channel_count ? channel->position + 1 : 0;
}

struct channel *pick_idle(struct listener *listener, enum config_balance balance, int64_t now_ms)
{
    uint32_t count = listener->channel_count;
    uint32_t window = balance == BALANCE_ROUNDROBIN ? 1
                      : balance == BALANCE_FIRST    ? count
                                                    : PICK_WINDOW;
    uint32_t reach = balance == BALANCE_FIRST ? count : PICK_REACH;
    struct search search = {.balance = balance};

    for (uint32_t i = 0; i < count && search.found < window && (!search.best || i < reach); i++) {
        struct channel *channel = channel_from_cursor(listener, i);
        if (pick_is_eligible(channel))
            consider(&search, channel, now_ms);
        if (search.best && is_best(search.best, balance))
            break;
    }
    struct channel *best = search.best;
    listener->waits_for_lighter =
        best && balance == BALANCE_LEASTCONN && is_worth_waiting(listener, best, now_ms);
    if (listener->waits_for_lighter)
        return NULL;
    if (!best && search.fds_low &&
        (!search.has_room || is_at_rest(listener, search.motion, now_ms)))
        best = search.fds_low;
    if (best)
        set_cursor_behind(listener, best);
    return best;
}

struct channel *pick_busy(struct listener *listener, int64_t now_ms)
{
    uint32_t count = listener->channel_count;

    for (uint32_t i = 0; i < count; i++) {
        struct channel *channel = channel_from_cursor(listener, i);
        if (!pick_is_eligible(channel) || channel_untaken(channel) > 0 ||
            now_ms < channel->belief.probe_at_ms)
            continue;
        set_cursor_behind(listener, channel);
        return channel;
    }
    return NULL;
}

/* Rendezvous hashing: a worker that comes or goes moves only its own share of the peers. */
struct channel *pick_by_source(struct listener *listener, const struct sockaddr_storage *peer)
{
    uint32_t host = address_hash_host(peer);
    uint32_t best_weight = 0;
    struct channel *best = NULL;

    for (uint32_t i = 0; i < listener->channel_count; i++) {
        struct channel *channel = listener->channels[i];
        if (!pick_is_eligible(channel))
            continue;
        uint32_t weight = (host ^ (worker_slot(channel->worker) + 1) * 2654435761u) * 2246822519u;
        weight ^= weight >> 15;
        weight *= 3266489917u;
        weight ^= weight >> 13;
        if (!best || weight > best_weight) {
            best = channel;
            best_weight = weight;
        }
    }
    return best;
}
