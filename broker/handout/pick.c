/* pick.c - see pick.h. */
#include "broker/handout/pick.h"

#include "broker/base/address.h"
#include "broker/base/broker.h"
#include "broker/pool/belief.h"
#include "broker/pool/worker.h"

bool pick_may_choose(const struct worker *worker)
{
    return worker->state <= WORKER_READY && !worker->stopped && !worker->held && !worker->kept_back;
}

bool pick_is_eligible(const struct channel *channel)
{
    return channel->listening && !channel->closed && pick_may_choose(channel->worker);
}

void pick_init(struct listener *listener)
{
    const struct config_patterns *patterns = &broker.config.leader;

    listener->pick.is_led = false;
    for (int i = 0; i < patterns->count; i++)
        listener->pick.is_led |=
            address_matches(&listener->bound, listener->socket.zone, patterns->at[i]);
}

/* Two of one slot, in a restart: the older one leads until it drains. */
struct channel *pick_leader(const struct listener *listener)
{
    struct channel *leader = NULL;

    for (uint32_t i = 0; listener->pick.is_led && i < listener->channel_count; i++) {
        struct channel *channel = listener->channels[i];
        if (pick_is_eligible(channel) &&
            (!leader || worker_slot(channel->worker) < worker_slot(leader->worker)))
            leader = channel;
    }
    return leader;
}

/* --max-conns-per-worker: what its event loop would take as well, it is not offered. */
static bool is_full(const struct channel *channel)
{
    unsigned most = broker.config.max_conns_per_worker;

    return most > 0 && worker_active(channel->worker) + channel_untaken(channel) >= most;
}

/*
 * Whether a worker with fewer connections than this idle one is about to come back: it got an offer
 * just now and only needs the processor to take it. Else the first that runs gets a whole burst.
 */
static bool is_worth_waiting(const struct listener *listener, uint64_t active, int64_t now_ms)
{
    uint32_t reach = listener->channel_count < PICK_WINDOW ? listener->channel_count : PICK_WINDOW;

    for (uint32_t i = 0; i < reach; i++) {
        const struct channel *channel = listener->channels[i];
        if (now_ms - channel->recall.given_ms >= PICK_LIGHTER_MS || !pick_is_eligible(channel) ||
            channel->belief.overdue)
            continue;
        struct channel_reading reading = channel_read(channel);
        if (!reading.fds_low && reading.active + reading.untaken < active)
            return true;
    }
    return false;
}

/* The best so far; active: its open connections. */
struct choice {
    struct channel *channel;
    uint64_t active;
};

struct search {
    enum config_balance balance;
    uint32_t found;
    bool has_room;   /* the lightest of all, idle or not */
    uint64_t motion; /* of all workers whose fd table has room */
    struct choice best;
    struct choice fds_low; /* the lightest of the idle ones */
};

static bool is_better(const struct search *search, const struct channel *channel, uint64_t active,
                      const struct choice *than)
{
    if (search->balance == BALANCE_FIRST)
        return worker_slot(channel->worker) < worker_slot(than->channel->worker);
    return active < than->active;
}

static void consider(struct search *search, struct channel *channel, int64_t now_ms)
{
    struct channel_reading reading = belief_observe(channel);
    struct choice *best = reading.fds_low ? &search->fds_low : &search->best;

    if (!reading.fds_low && !channel->worker->stuck) {
        search->has_room = true;
        search->motion += reading.motion;
    }
    if (!belief_is_idle(channel, &reading, now_ms) || is_full(channel))
        return;
    search->found += !reading.fds_low;
    if (!best->channel || is_better(search, channel, reading.active, best))
        *best = (struct choice){channel, reading.active};
}

/* Whether no worker with room has moved for a while; a worker that comes or goes is a move as well.
 */
static bool is_at_rest(struct listener *listener, uint64_t motion, int64_t now_ms)
{
    if (listener->pick.seen_motion != motion) {
        listener->pick.seen_motion = motion;
        listener->pick.moved_ms = now_ms;
    }
    return now_ms - listener->pick.moved_ms >= PICK_REST_MS;
}

/* Ties rotate: the search begins behind the channel that was given last. If channels have gone
 * since, the others moved down. */
static uint32_t find_cursor(struct listener *listener)
{
    uint32_t count = listener->channel_count;
    uint32_t at = listener->pick.cursor < count ? listener->pick.cursor : count;

    while (at > 0 && listener->channels[at - 1]->ordinal > listener->pick.given)
        at--;
    return at < count ? at : 0;
}

static void move_cursor(struct channel *given)
{
    given->listener->pick.given = given->ordinal;
    given->listener->pick.cursor = given->position + 1;
}

void pick_begin_at(struct channel *channel)
{
    channel->listener->pick.given = channel->ordinal - 1;
    channel->listener->pick.cursor = channel->position;
}

/* Where connections come fast: the first worker that has nothing at all. No other is better, and
 * its caches are hot. Rotating took 1.15 times the CPU (one client, 4 blocking workers; 64 clients,
 * 64 event loops). A look at 32 workers in vain takes 0.4 us, 2 % of what a connection costs us. */
static struct channel *pick_favourite(struct listener *listener, int64_t now_ms)
{
    uint32_t reach = listener->channel_count < PICK_WINDOW ? listener->channel_count : PICK_WINDOW;

    for (uint32_t i = 0; i < reach; i++) {
        struct channel *channel = listener->channels[i];
        if (!pick_is_eligible(channel))
            continue;
        struct channel_reading reading = belief_observe(channel);
        if (reading.active + reading.untaken == 0 && !reading.fds_low && !is_full(channel) &&
            belief_is_idle(channel, &reading, now_ms))
            return channel;
    }
    return NULL;
}

/* NULL: there is none, or it has all that it may have. */
static struct channel *pick_leader_with_room(const struct listener *listener)
{
    struct channel *leader = pick_leader(listener);

    return leader && !is_full(leader) ? leader : NULL;
}

static struct channel *pick_idle_leader(struct listener *listener, int64_t now_ms)
{
    struct channel *leader = pick_leader_with_room(listener);

    if (!leader)
        return NULL;
    struct channel_reading reading = belief_observe(leader);
    return belief_is_idle(leader, &reading, now_ms) ? leader : NULL;
}

/* No worker is better than one without connections: each look at another costs a cache miss or
 * two. */
struct channel *pick_idle(struct listener *listener, enum config_balance balance, int64_t now_ms)
{
    uint32_t count = listener->channel_count;
    uint32_t window = balance == BALANCE_ROUNDROBIN ? 1
                      : balance == BALANCE_FIRST    ? count
                                                    : PICK_WINDOW;
    uint32_t reach = balance == BALANCE_FIRST ? count : PICK_REACH;
    bool by_load = balance == BALANCE_LEASTCONN;
    struct search search = {.balance = balance};
    struct choice *best = &search.best;
    uint32_t at = find_cursor(listener);
    struct channel *favourite =
        by_load && listener->rate.favours ? pick_favourite(listener, now_ms) : NULL;

    listener->pick.waits_for_lighter = false;
    if (listener->pick.is_led)
        return pick_idle_leader(listener, now_ms);
    if (favourite)
        return favourite;
    for (uint32_t i = 0; i < count && search.found < window && (!best->channel || i < reach); i++) {
        struct channel *channel = listener->channels[at++];
        at = at < count ? at : 0;
        if (pick_is_eligible(channel))
            consider(&search, channel, now_ms);
        if (by_load && best->channel && best->active == 0)
            break;
    }
    listener->pick.waits_for_lighter = by_load && best->active > 1 + listener->rate.allowance &&
                                       is_worth_waiting(listener, best->active, now_ms);
    if (listener->pick.waits_for_lighter)
        return NULL;
    if (!best->channel && search.fds_low.channel &&
        (!search.has_room || is_at_rest(listener, search.motion, now_ms)))
        best = &search.fds_low;
    if (best->channel)
        move_cursor(best->channel);
    return best->channel;
}

/* Whether a channel that seems busy may be probed. */
static bool may_be_probed(const struct channel *channel, int64_t now_ms)
{
    return pick_is_eligible(channel) && channel_untaken(channel) == 0 && !is_full(channel) &&
           now_ms >= channel->belief.probe_at_ms;
}

/* Of the first PICK_WINDOW; untaken offers count. */
static uint64_t find_least_load(const struct listener *listener)
{
    uint64_t least = UINT64_MAX;

    for (uint32_t i = 0; i < listener->channel_count && i < PICK_WINDOW; i++) {
        const struct channel *channel = listener->channels[i];
        struct channel_reading reading = channel_read(channel);
        uint64_t load = reading.active + reading.untaken;
        if (load < least && pick_is_eligible(channel) && !channel->belief.overdue)
            least = load;
    }
    return least;
}

bool pick_is_given_ahead(const struct channel *channel)
{
    struct channel_reading reading = channel_read(channel);
    const struct listener *listener = channel->listener;

    return listener->rate.allowance > 0 && broker.config.balance == BALANCE_LEASTCONN &&
           !listener->pick.is_led && board_has_worker_flag(channel->board, BOARD_ANNOUNCES) &&
           pick_is_eligible(channel) && !channel->belief.overdue && !reading.fds_low &&
           !is_full(channel) && reading.untaken <= PICK_AHEAD &&
           reading.active + reading.untaken <= find_least_load(listener);
}

struct channel *pick_busy(struct listener *listener, int64_t now_ms)
{
    uint32_t count = listener->channel_count;
    uint32_t at = find_cursor(listener);

    if (listener->pick.is_led) {
        struct channel *leader = pick_leader(listener);
        return leader && may_be_probed(leader, now_ms) ? leader : NULL;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct channel *channel = listener->channels[at++];
        at = at < count ? at : 0;
        if (!may_be_probed(channel, now_ms))
            continue;
        move_cursor(channel);
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

    if (listener->pick.is_led)
        return pick_leader_with_room(listener);
    for (uint32_t i = 0; i < listener->channel_count; i++) {
        struct channel *channel = listener->channels[i];
        if (!pick_is_eligible(channel) || is_full(channel))
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
