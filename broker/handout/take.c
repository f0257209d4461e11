/* take.c - see take.h. The order is that of age: held, recallable, backlog. */
#include "broker/handout/take.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/base/broker.h"
#include "broker/base/log.h"
#include "broker/handout/front/front.h"
#include "broker/handout/canonical/revive.h"
#include "broker/handout/canonical/ring.h"
#include "broker/handout/pick.h"
#include "broker/handout/waits.h"
#include "broker/pool/channel.h"
#include "broker/pool/closer.h"
#include "broker/pool/worker.h"

#define ANNOUNCED_RECALLS                                                                          \
    50              /* so many times --accept-timeout: a program may do something else first */
#define YOUNG_MS 20 /* a fast pool hands out within it; --skip-dead asks about each */

static bool is_shortage(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM ||
           error == ETOOMANYREFS;
}

/* The copies rely on it as we do. */
static void set_nonblock(int fd)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags >= 0 && !(flags & O_NONBLOCK))
        fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

/* If a worker has cleared O_NONBLOCK, which all copies share, and takes the reported connection
 * first, accept4(2) sleeps. */
static int accept_awake(int fd, struct sockaddr_storage *peer, socklen_t *len, int flags)
{
    struct pollfd state = {.fd = fd, .events = POLLIN};

    set_nonblock(fd);
    int connection_fd = ring_accept(fd, (struct sockaddr *)peer, len, flags);
    if (connection_fd >= 0 || errno != EOPNOTSUPP)
        return connection_fd;
    if (poll(&state, 1, 0) == 1)
        return accept4(fd, (struct sockaddr *)peer, len, flags);
    errno = EAGAIN;
    return -1;
}

static void note_sleep(struct listener *listener)
{
    char text[SOCKET_KEY_TEXT_MAX];

    set_nonblock(listener->canonical_fd);
    if (listener->take.sleeps++ == 0)
        log_error("a worker that shares %s has cleared O_NONBLOCK on it, and takes connections by "
                  "itself; look for a program that was broken into",
                  socket_key_format(&listener->socket, &listener->bound, text));
}

/*
 * Whether it has waited for less than YOUNG_MS. The queue goes by age: what stands behind a
 * connection has waited for no longer than it, and the time since. So one question is enough for
 * YOUNG_MS, and none of the others has to be asked whether its client has left.
 */
static bool is_young(struct listener *listener, int fd)
{
    int64_t now_ms = loop_now_ms();

    if (now_ms < listener->take.young_until_ms)
        return true;
    int64_t wait_ms = waits_measure_ms(fd);
    if (wait_ms < 0 || wait_ms >= YOUNG_MS)
        return false;
    listener->take.young_until_ms = now_ms + YOUNG_MS - wait_ms;
    return true;
}

/* Whether the client of a connection has left while it waited in the kernel's queue. Takes fd then.
 */
static bool was_left(struct listener *listener, int fd)
{
    return (broker.config.skip_dead || !is_young(listener, fd)) && front_skip(listener, fd);
}

/* TAKE_DONE gives the fd. Anything that concerns one connection alone is passed over, see
 * accept(2), "Error handling". */
static enum take accept_next(struct listener *listener, int flags, int *fd,
                             struct sockaddr_storage *peer, socklen_t *len)
{
    for (;;) {
        *len = sizeof *peer;
        *fd = listener->take.sleeps
                  ? accept_awake(listener->canonical_fd, peer, len, flags)
                  : accept4(listener->canonical_fd, (struct sockaddr *)peer, len, flags);
        if (*fd >= 0) {
            if (!listener->queue.waits || !was_left(listener, *fd))
                return TAKE_DONE;
        } else if (errno == EINTR) {
            note_sleep(listener);
            return TAKE_SLEPT;
        } else if (errno == EAGAIN || errno == EINVAL) { /* EINVAL: shut down, see revive.h */
            return TAKE_NONE;
        } else if (is_shortage(errno)) {
            return TAKE_SHORT;
        }
    }
}

enum take take_from_backlog(struct listener *listener, bool nonblock,
                            struct take_connection *connection)
{
    struct sockaddr_storage peer;
    socklen_t len;

    if (listener->shut)
        return TAKE_NONE;
    enum take took = accept_next(listener, SOCK_CLOEXEC | (nonblock ? SOCK_NONBLOCK : 0),
                                 &connection->fd, &peer, &len);
    if (took != TAKE_DONE)
        return took;
    if (listener->revive.shut_downs > 0 && revive_is_stillborn(connection->fd)) {
        close(connection->fd);
        revive_listener(listener);
        return TAKE_NONE;
    }
    connection->offer.head = WIRE_HEAD(WIRE_OFFER);
    connection->offer.flags = nonblock ? WIRE_OFFER_NONBLOCK : 0;
    connection->offer.addr_len = len <= WIRE_ADDRESS_MAX ? len : WIRE_ADDRESS_MAX;
    memcpy(connection->offer.addr, &peer, connection->offer.addr_len);
    return TAKE_DONE;
}

bool take_must_leave(const struct channel *channel, int64_t now_ms)
{
    const struct worker *worker = channel->worker;
    int64_t patience_ms = (int64_t)broker.config.accept_timeout_ms * ANNOUNCED_RECALLS;

    return !channel->closed && pick_may_choose(worker) && !worker->stuck &&
           now_ms - channel->recall.sent_at_ms < patience_ms && channel_is_announced(channel);
}

/* Each side writes its own flag before it reads the other's, as announce_confirm() in the worker.
 */
static int recall(struct channel *channel, struct wire_offer *offer)
{
    channel_set_recalling(channel, true);
    int fd = take_must_leave(channel, loop_now_ms()) ? -1 : channel_recall(channel, offer);
    channel_set_recalling(channel, false);
    return fd;
}

/* False: it has none any more. recall.c makes announced offers recallable again in time. */
static bool recall_from(struct channel *channel, struct take_connection *connection)
{
    connection->fd = recall(channel, &connection->offer);
    if (connection->fd >= 0) {
        channel->listener->counts->recalled++;
        return true;
    }
    channel_set_recallable(channel, false);
    worker_on_channel_drained(channel); /* may free it */
    return false;
}

/* The oldest offer that its worker does not take. */
static enum take take_recallable(struct listener *listener, struct take_connection *connection)
{
    struct channel *channel;

    while ((channel = TAILQ_FIRST(&listener->recallable)) != NULL)
        if (recall_from(channel, connection))
            return TAKE_DONE;
    return TAKE_NONE;
}

static struct channel *find_recallable(const struct listener *listener, int64_t before_ms)
{
    struct channel *channel;

    TAILQ_FOREACH(channel, &listener->recallable, recallable)
        if (channel->recall.sent_at_ms <= before_ms)
            return channel;
    return NULL;
}

bool take_older(struct listener *listener, int64_t before_ms, struct take_connection *connection)
{
    struct channel *channel;

    if (listener->take.holds && listener->take.held_since_ms <= before_ms) {
        *connection = (struct take_connection){listener->take.held_fd, listener->take.held};
        listener->take.holds = false;
        return true;
    }
    while ((channel = find_recallable(listener, before_ms)) != NULL)
        if (recall_from(channel, connection))
            return true;
    return false;
}

enum take take_next(struct listener *listener, const struct channel *channel,
                    struct take_connection *connection)
{
    uint32_t wishes = atomic_load_explicit(&channel->board->worker.flags, memory_order_relaxed);

    if (listener->take.holds) {
        connection->fd = listener->take.held_fd;
        connection->offer = listener->take.held;
        listener->take.holds = false;
        return TAKE_DONE;
    }
    if (!TAILQ_EMPTY(&listener->recallable) && take_recallable(listener, connection) == TAKE_DONE)
        return TAKE_DONE;
    bool nonblock = (wishes & BOARD_WANTS_NONBLOCK) != 0;
    if (!listener->front.is_on)
        return take_from_backlog(listener, nonblock, connection);
    return front_take(listener, nonblock, &connection->fd, &connection->offer) ? TAKE_DONE
                                                                               : TAKE_NONE;
}

void take_hold(struct listener *listener, const struct take_connection *connection)
{
    listener->take.holds = true;
    listener->take.held_since_ms = loop_now_ms();
    listener->take.held_fd = connection->fd;
    listener->take.held = connection->offer;
}

void take_end_hold(struct listener *listener)
{
    listener->take.holds = false;
}

void take_finish(struct listener *listener)
{
    struct linger no_time = {.l_onoff = 1};

    if (!listener->take.holds)
        return;
    listener->take.holds = false;
    setsockopt(listener->take.held_fd, SOL_SOCKET, SO_LINGER, &no_time, sizeof no_time);
    closer_give(listener->take.held_fd); /* a worker may have looked at it */
}
