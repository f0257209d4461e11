/* front.c - see front.h. */
#include "broker/handout/front/front.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/base/broker.h"
#include "broker/base/log.h"
#include "broker/handout/front/access.h"
#include "broker/handout/front/full.h"
#include "broker/handout/front/hold.h"
#include "broker/handout/front/proxied.h"
#include "broker/handout/front/stages.h"

/* The broker needs descriptors for other things as well: workers, and those who ask for its status.
 */
#define FILES_FOR_OTHERS 4 /* one in so many */
#define FILES_FREE_MIN 16  /* of all */
#define FILES_FREE 16      /* one in so many, but no fewer than that */

static uint32_t capacity;  /* of all listeners */
static uint64_t files_max; /* held or others; the rest stays free */

bool front_has_complete(const struct listener *listener)
{
    return !TAILQ_EMPTY(&listener->held.queues[HELD_COMPLETE]);
}

bool front_has_room(const struct listener *listener)
{
    return listener->front.is_on && listener->held.count < broker.config.hold_max &&
           held_count() < capacity && (uint64_t)held_count() + held_count_others() < files_max;
}

bool front_opens_early(const struct listener *listener)
{
    return listener->inherited && listener->front.is_on && full_is_asked_for();
}

static bool evict_oldest(struct listener *listener)
{
    static const enum held_stage order[] = {HELD_ANSWERED, HELD_HEADER, HELD_REQUEST};

    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        struct held *oldest = TAILQ_FIRST(&listener->held.queues[order[i]]);
        if (!oldest)
            continue;
        stages_drop(oldest, HELD_EVICTED);
        return true;
    }
    return false;
}

/* Where all listeners together have no room, clients of one must not keep those of another out. */
static struct listener *find_fullest(struct listener *listener)
{
    struct listener *fullest = listener;
    struct listener *other;

    if (listener->held.count < broker.config.hold_max)
        TAILQ_FOREACH(other, &listeners, all)
            if (other->held.count > fullest->held.count)
                fullest = other;
    return fullest;
}

bool front_evict(struct listener *listener)
{
    struct listener *fullest = find_fullest(listener);

    return evict_oldest(fullest) || (fullest != listener && evict_oldest(listener));
}

/* A named AF_UNIX peer; gone since: unnamed. */
static void ask_peer(int fd, struct wire_offer *offer)
{
    struct sockaddr_storage peer;
    socklen_t len = sizeof peer;

    if (getpeername(fd, (struct sockaddr *)&peer, &len) < 0 || len > WIRE_ADDRESS_MAX) {
        peer.ss_family = AF_UNIX;
        len = sizeof peer.ss_family;
    }
    offer->addr_len = len;
    memcpy(offer->addr, &peer, len);
}

/* --unmap: a mapped address becomes that of IPv4. */
static void unmap(struct wire_offer *offer)
{
    struct sockaddr_in6 in6;

    if (offer->addr_len != sizeof in6)
        return;
    memcpy(&in6, offer->addr, sizeof in6);
    if (in6.sin6_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr))
        return;
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = in6.sin6_port};
    memcpy(&in.sin_addr, in6.sin6_addr.s6_addr + 12, sizeof in.sin_addr);
    memcpy(offer->addr, &in, sizeof in);
    offer->addr_len = sizeof in;
}

static void set_nonblock(int fd, bool on)
{
    int flags = fcntl(fd, F_GETFL);

    fcntl(fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK);
}

/* The oldest one that is complete; its client may have left while it waited for a worker. */
static struct held *find_complete(struct listener *listener)
{
    struct held *held;

    while ((held = TAILQ_FIRST(&listener->held.queues[HELD_COMPLETE])) != NULL &&
           held->since_ms != loop_now_ms() && hold_is_dead(held->fd))
        stages_drop(held, HELD_DEAD);
    return held;
}

bool front_take(struct listener *listener, bool nonblock, int *fd, struct wire_offer *offer)
{
    struct held *held = find_complete(listener);

    if (!held)
        return false;
    *offer = (struct wire_offer){.head = WIRE_HEAD(WIRE_OFFER),
                                 .flags = (nonblock ? WIRE_OFFER_NONBLOCK : 0) |
                                          front_flags() << WIRE_OFFER_USE_SHIFT,
                                 .addr_len = held->peer_len};
    if (held->peer_len <= sizeof held->peer)
        memcpy(offer->addr, &held->peer, held->peer_len);
    else
        ask_peer(held->fd, offer);
    if (broker.config.unmap)
        unmap(offer);
    bool is_nonblock = held->is_nonblock;
    *fd = stages_leave(held);
    if (is_nonblock != nonblock)
        set_nonblock(*fd, nonblock);
    return true;
}

/* --- life --- */

static void set_capacity(void)
{
    struct rlimit files = {0};

    getrlimit(RLIMIT_NOFILE, &files);
    rlim_t most = files.rlim_cur - files.rlim_cur / FILES_FOR_OTHERS;
    capacity = most < HELD_MAX ? (uint32_t)most : HELD_MAX;
    rlim_t free_files = files.rlim_cur / FILES_FREE;
    files_max = files.rlim_cur - (free_files > FILES_FREE_MIN ? free_files : FILES_FREE_MIN);
}

int front_begin(bool resumes)
{
    set_capacity();
    if (!access_init())
        return -1;
    if (!config_front_option(&broker.config) && broker.config.handoff != HANDOFF_BROKER)
        return 0;
    if (held_init() < 0)
        return -1;
    if (resumes)
        return 0;
    held_publish();
    return proxied_begin(NULL);
}

uint32_t front_flags(void)
{
    return (proxied_reader_fd() >= 0 ? WIRE_GRANT_PROXIED : 0) |
           (broker.config.unmap ? WIRE_GRANT_UNMAP : 0);
}

static int rule_for(const struct config_rules *rules, const struct listener *listener)
{
    int kind = 0;

    for (int i = 0; i < rules->count; i++)
        if (address_matches(&listener->bound, listener->socket.zone, rules->at[i].pattern))
            kind = rules->at[i].kind;
    return kind;
}

/* A packet is whole when it comes, whatever is in it. */
static enum config_hold hold_for(const struct listener *listener)
{
    enum config_hold hold = (enum config_hold)rule_for(&broker.config.hold, listener);
    int type = SOCK_STREAM;
    socklen_t len = sizeof type;

    getsockopt(listener->canonical_fd, SOL_SOCKET, SO_TYPE, &type, &len);
    return hold != HOLD_NONE && type == SOCK_SEQPACKET ? HOLD_DATA : hold;
}

/* There is a table. */
static bool is_needed(const struct listener *listener)
{
    return listener->front.hold != HOLD_NONE || listener->front.accept_proxy != ACCEPT_PROXY_NONE ||
           access_is_limited() || broker.config.unmap || broker.config.max_conns_per_worker > 0 ||
           full_is_asked_for() || listener->held.count > 0;
}

void front_init(struct listener *listener)
{
    const struct config *config = &broker.config;
    bool has_hosts = listener->bound.storage.ss_family != AF_UNIX;

    stages_init(listener);
    if (!held_is_there() || runtime.handoff == HANDOFF_DIRECT)
        return;
    held_reset_counts(listener);
    listener->front.hold = hold_for(listener);
    if (has_hosts)
        listener->front.accept_proxy =
            (enum config_accept_proxy)rule_for(&config->accept_proxy, listener);
    listener->front.is_on = is_needed(listener);
    hold_prepare(listener);
}

int front_enforce(void)
{
    struct listener *listener;

    if (!held_is_there()) {
        if (held_init() < 0)
            return -1;
        held_publish();
    }
    TAILQ_FOREACH(listener, &listeners, all)
        listener->front.is_on = is_needed(listener);
    return 0;
}

void front_load(int (*map)(int fd))
{
    struct listener *listener;

    if (access_is_limited() && !held_is_there() && held_init() < 0)
        abort();
    if (proxied_begin(map) < 0)
        log_error("cannot go on with the table of clients behind balancers: %s; workers see the "
                  "balancers",
                  strerror(errno));
    held_load(map);
    if (!held_is_there())
        return;
    TAILQ_FOREACH(listener, &listeners, all) {
        stages_resume(listener);
        listener->front.is_on = is_needed(listener);
    }
}

bool front_skip(struct listener *listener, int fd)
{
    bool is_asked_for = broker.config.skip_dead || runtime.handoff == HANDOFF_BROKER;

    if (!is_asked_for || !held_is_there() || !hold_is_dead(fd))
        return false;
    held_counts_of(listener)->closed[HELD_DEAD]++;
    stages_close(fd, false);
    return true;
}

struct front_totals front_totals(const struct listener *listener)
{
    struct front_totals totals = {.held = listener->held.count};
    const struct held *held;

    if (!held_is_there())
        return totals;
    TAILQ_FOREACH(held, &listener->held.queues[HELD_COMPLETE], queue)
        totals.complete++;
    totals.counts = *held_counts_of(listener);
    return totals;
}

uint64_t front_closed(const struct front_totals *totals)
{
    uint64_t closed = 0;

    for (int why = 0; why < HELD_CLOSINGS_COUNT; why++)
        closed += totals->counts.closed[why];
    return closed;
}
