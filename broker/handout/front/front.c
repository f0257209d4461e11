/* front.c - see front.h. */
#include "broker/handout/front/front.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "broker/base/broker.h"
#include "broker/base/log.h"
#include "broker/base/turn.h"
#include "broker/handout/front/access.h"
#include "broker/handout/front/hold.h"
#include "broker/handout/front/proxied.h"
#include "broker/handout/front/proxy.h"
#include "broker/handout/front/sources.h"

/* The broker needs descriptors for other things as well. */
#define FILES_FOR_OTHERS 4 /* one in so many */

#define DISCARDED_MAX (1 << 30) /* bytes; of TCP, MSG_TRUNC copies nothing, tcp(7) */

static uint32_t capacity; /* of all listeners */

/* A request in many pieces costs a look for each: so many at once, then one in a while. */
#define LOOKS_AT_ONCE 32
#define LOOK_AGAIN_MS 50

/* Edges: what does not grow is not reported again, and what grows need not be read for that. */
#define WATCHED (EPOLLIN | EPOLLRDHUP | EPOLLET)

static const struct {
    struct held_look (*look)(struct held *held, bool is_half_closed);
} stages[] = {
    [HELD_HEADER] = {proxy_look},
    [HELD_REQUEST] = {hold_look},
};

static bool asks_for(const struct listener *listener, enum held_stage stage)
{
    return stage == HELD_COMPLETE ||
           (stage == HELD_HEADER && listener->front.accept_proxy != ACCEPT_PROXY_NONE) ||
           (stage == HELD_REQUEST && listener->front.hold != HOLD_NONE);
}

static enum held_stage next_stage(const struct listener *listener, enum held_stage stage)
{
    do
        stage++;
    while (!asks_for(listener, stage));
    return stage;
}

static int64_t limit_ms(enum held_stage stage)
{
    return stage == HELD_HEADER ? PROXY_TIMEOUT_MS : (int64_t)broker.config.hold_timeout_s * 1000;
}

/* --- the end of a connection here --- */

static void unwatch(struct held *held)
{
    if (held->watch.fd >= 0)
        loop_remove(&held->watch);
    held->watch.fd = -1;
}

static int leave(struct held *held)
{
    unwatch(held);
    loop_stop_timer(&held->again);
    held->listener->front.count--;
    return held_remove(held);
}

/* A server's SO_LINGER, which connections inherit, must not make us sleep. By FIN: what was not
 * read would make it a RST, see tcp(7) and RFC 1122, 4.2.2.13. */
static void close_connection(int fd, bool by_reset)
{
    struct linger linger = {.l_onoff = by_reset};

    if (!by_reset)
        recv(fd, NULL, DISCARDED_MAX, MSG_DONTWAIT | MSG_TRUNC);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    close(fd);
}

static void drop(struct held *held, enum held_closing why)
{
    bool by_reset = broker.config.hold_close == HOLD_CLOSE_RST || why == HELD_SHUT ||
                    why == HELD_DENIED || why == HELD_LIMITED || why == HELD_REJECTED;

    held_counts_of(held->listener)->closed[why]++;
    close_connection(leave(held), by_reset);
}

/* --- its way --- */

static void on_ready(struct loop_fd *watch, uint32_t events);

/* False: the kernel has no room for one more watch. */
static bool watch(struct held *held)
{
    if (held->watch.fd >= 0)
        return true;
    held->watch = (struct loop_fd){held->fd, on_ready};
    if (loop_add(&held->watch, WATCHED) == 0)
        return true;
    held->watch.fd = -1;
    return false;
}

/* Each queue goes by age, so its first one is due first. */
static void expect_deadline(const struct held *held)
{
    struct loop_timer *timer = &held->listener->front.deadline;
    int64_t due_ms = held->since_ms + limit_ms(held->stage);

    if (!loop_timer_runs(timer) || timer->at_ms > due_ms)
        loop_start_timer(timer, due_ms - loop_now_ms());
}

static void expect_deadlines(struct listener *listener)
{
    for (enum held_stage stage = HELD_HEADER; stage < HELD_COMPLETE; stage++)
        if (!TAILQ_EMPTY(&listener->front.queues[stage]))
            expect_deadline(TAILQ_FIRST(&listener->front.queues[stage]));
}

static void drop_late(struct held *held)
{
    struct cidr_host host;

    if (held->stage == HELD_HEADER && held_get_host(held, &host))
        access_tell(&host, "its PROXY header did not come within 3 seconds");
    drop(held, held->stage == HELD_HEADER ? HELD_REJECTED : HELD_TIMEOUT);
}

static void on_deadline(struct loop_timer *timer)
{
    struct listener *listener = loop_container(timer, struct listener, front.deadline);
    int64_t now_ms = loop_now_ms();

    for (enum held_stage stage = HELD_HEADER; stage < HELD_COMPLETE; stage++) {
        struct held *oldest;
        while ((oldest = TAILQ_FIRST(&listener->front.queues[stage])) != NULL &&
               oldest->since_ms + limit_ms(stage) <= now_ms)
            drop_late(oldest);
    }
    expect_deadlines(listener);
    listener_pump(listener); /* there is room for others */
}

/* --- limits --- */

static bool is_limited;

/* Where the kernel does not answer, none is counted. */
static bool is_open(const struct sock_diag_key *key)
{
    return sock_diag_ask(key) == SOCK_DIAG_OPEN;
}

static int64_t now_us(void)
{
    return turn_read_us(CLOCK_MONOTONIC);
}

static bool begin_limits(void)
{
    const struct config_per_source *asked = &broker.config.per_source;
    struct sources_limits limits = {
        .conns = asked->conns,
        .rate = asked->rate,
        .rate_s = asked->rate_s,
        .penalty_s = asked->penalty_s,
        .bits_ipv4 = asked->bits_ipv4,
        .bits_ipv6 = asked->bits_ipv6,
        .is_open = is_open,
        .now_us = now_us,
    };

    is_limited = asked->conns > 0 || asked->rate > 0;
    return !is_limited || sources_init(&limits);
}

/* Why a connection of this client is not taken, or NULL. */
static const char *refuse(int fd, const struct cidr_host *host)
{
    struct sock_diag_key key;
    bool has_key = sources_want_keys() && sock_diag_identify(fd, &key);

    return sources_refuse(host, has_key ? &key : NULL);
}

/* Its client is known: behind HELD_HEADER. False: it was closed. */
static bool admit(struct held *held)
{
    bool has_rules = access_is_limited();
    struct cidr_host host;

    if ((!has_rules && !is_limited) || !held_get_host(held, &host))
        return true;
    bool is_denied = has_rules && !access_permits(&host);
    const char *why = is_denied ? "it is denied" : is_limited ? refuse(held->fd, &host) : NULL;
    if (!why)
        return true;
    access_tell(&host, why);
    drop(held, is_denied ? HELD_DENIED : HELD_LIMITED);
    return false;
}

/* False: it was closed. */
static bool go_on(struct held *held)
{
    bool is_new = held->stage == HELD_HEADER;

    held_set_stage(held, next_stage(held->listener, held->stage));
    return !is_new || admit(held);
}

/* As far as it goes now. What cannot be watched is complete: the worker waits for it then. */
static void advance(struct held *held, bool is_half_closed)
{
    while (held->stage < HELD_COMPLETE) {
        struct held_look found = stages[held->stage].look(held, is_half_closed);
        if (found.result == LOOK_CLOSE) {
            drop(held, found.why);
            return;
        }
        if (found.result == LOOK_MORE && watch(held)) {
            expect_deadline(held);
            return;
        }
        if (!go_on(held))
            return;
    }
    unwatch(held);
}

static void on_look_again(struct loop_timer *timer)
{
    struct held *held = loop_container(timer, struct held, again);

    held->looks = LOOKS_AT_ONCE - 1;
    if (!watch(held)) /* reports what came meanwhile */
        advance(held, false);
}

static void on_ready(struct loop_fd *watch, uint32_t events)
{
    struct held *held = loop_container(watch, struct held, watch);
    struct listener *listener = held->listener;

    if (++held->looks > LOOKS_AT_ONCE && !(events & EPOLLERR)) {
        unwatch(held);
        held->again.on_time = on_look_again;
        loop_start_timer(&held->again, LOOK_AGAIN_MS);
        return;
    }
    if (events & EPOLLERR) /* reset; what was sent before may be there all the same */
        drop(held, HELD_HUNG_UP);
    else
        advance(held, (events & (EPOLLRDHUP | EPOLLHUP)) != 0);
    listener_pump(listener);
}

/* A connection that was here before: its header may have been read by then. */
static void pass_known_header(struct held *held)
{
    if (held->stage == HELD_HEADER && proxy_resume(held))
        held_set_stage(held, next_stage(held->listener, HELD_HEADER));
}

static void enter(struct listener *listener, int fd, const struct wire_offer *offer, bool again)
{
    struct held *held = held_add(listener, next_stage(listener, HELD_FREE), fd, offer);

    if (!held) {
        close_connection(fd, true); /* front_has_room() was not asked */
        return;
    }
    listener->front.count++;
    if (again)
        pass_known_header(held);
    if (held->stage == HELD_HEADER || admit(held))
        advance(held, false);
}

void front_enter(struct listener *listener, int fd, const struct wire_offer *offer)
{
    enter(listener, fd, offer, false);
}

void front_enter_again(struct listener *listener, int fd, const struct wire_offer *offer)
{
    enter(listener, fd, offer, true);
}

bool front_has_complete(const struct listener *listener)
{
    return !TAILQ_EMPTY(&listener->front.queues[HELD_COMPLETE]);
}

bool front_has_room(const struct listener *listener)
{
    return listener->front.is_on && listener->front.count < broker.config.hold_max &&
           held_count() < capacity;
}

bool front_evict(struct listener *listener)
{
    for (enum held_stage stage = HELD_HEADER; stage < HELD_COMPLETE; stage++) {
        struct held *oldest = TAILQ_FIRST(&listener->front.queues[stage]);
        if (!oldest)
            continue;
        drop(oldest, HELD_EVICTED);
        return true;
    }
    return false;
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

    while ((held = TAILQ_FIRST(&listener->front.queues[HELD_COMPLETE])) != NULL &&
           held->since_ms != loop_now_ms() && hold_is_dead(held->fd))
        drop(held, HELD_DEAD);
    return held;
}

bool front_take(struct listener *listener, bool nonblock, int *fd, struct wire_offer *offer)
{
    struct held *held = find_complete(listener);

    if (!held)
        return false;
    *offer = (struct wire_offer){.head = WIRE_HEAD(WIRE_OFFER),
                                 .flags = nonblock ? WIRE_OFFER_NONBLOCK : 0,
                                 .addr_len = held->peer_len};
    if (held->peer_len <= sizeof held->peer)
        memcpy(offer->addr, &held->peer, held->peer_len);
    else
        ask_peer(held->fd, offer);
    if (broker.config.unmap)
        unmap(offer);
    bool is_nonblock = held->is_nonblock;
    *fd = leave(held);
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
}

int front_begin(bool resumes)
{
    set_capacity();
    access_init();
    if (!config_front_option(&broker.config) && !broker.config.skip_dead &&
        broker.config.handoff != HANDOFF_BROKER)
        return 0;
    if (held_init() < 0 || !begin_limits())
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

/* There is a table. */
static bool is_needed(const struct listener *listener)
{
    return listener->front.hold != HOLD_NONE || listener->front.accept_proxy != ACCEPT_PROXY_NONE ||
           access_is_limited() || broker.config.unmap || is_limited ||
           broker.config.max_conns_per_worker > 0 || listener->front.count > 0;
}

void front_init(struct listener *listener)
{
    const struct config *config = &broker.config;
    bool has_hosts = listener->bound.storage.ss_family != AF_UNIX;

    for (int stage = 0; stage < LISTENER_STAGES; stage++)
        TAILQ_INIT(&listener->front.queues[stage]);
    listener->front.deadline.on_time = on_deadline;
    if (!held_is_there() || runtime.handoff == HANDOFF_DIRECT)
        return;
    held_reset_counts(listener);
    listener->front.hold = (enum config_hold)rule_for(&config->hold, listener);
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

void front_finish(struct listener *listener)
{
    struct held *held;

    for (int stage = HELD_HEADER; stage < LISTENER_STAGES; stage++)
        while ((held = TAILQ_FIRST(&listener->front.queues[stage])) != NULL)
            drop(held, HELD_SHUT);
    loop_stop_timer(&listener->front.deadline);
}

/* Watched from now on: what came meanwhile is reported at once. */
static void resume(struct listener *listener)
{
    for (int stage = HELD_COMPLETE; stage >= HELD_HEADER; stage--) { /* they move upward */
        struct held *held = TAILQ_FIRST(&listener->front.queues[stage]);
        while (held) {
            struct held *next = TAILQ_NEXT(held, queue);
            listener->front.count++;
            pass_known_header(held);
            if (held->stage < HELD_COMPLETE && (!asks_for(listener, held->stage) || !watch(held)))
                held_set_stage(held, HELD_COMPLETE);
            held = next;
        }
    }
    listener->front.is_on = is_needed(listener);
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
        resume(listener);
        expect_deadlines(listener);
    }
}

bool front_skip(struct listener *listener, int fd)
{
    bool is_asked_for = broker.config.skip_dead || runtime.handoff == HANDOFF_BROKER;

    if (!is_asked_for || !held_is_there() || !hold_is_dead(fd))
        return false;
    held_counts_of(listener)->closed[HELD_DEAD]++;
    close_connection(fd, false);
    return true;
}

struct front_totals front_totals(const struct listener *listener)
{
    struct front_totals totals = {.held = listener->front.count};
    const struct held *held;

    if (!held_is_there())
        return totals;
    TAILQ_FOREACH(held, &listener->front.queues[HELD_COMPLETE], queue)
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
