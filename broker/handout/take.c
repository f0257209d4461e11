/* take.c - see take.h. The order is that of age: held, stranded, backlog. */
#include "broker/handout/take.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "broker/base/broker.h"
#include "broker/pool/channel.h"
#include "broker/pool/worker.h"

static bool is_shortage(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM ||
           error == ETOOMANYREFS;
}

static enum take take_from_backlog(struct listener *listener, bool nonblock,
                                   struct take_connection *connection)
{
    struct sockaddr_storage peer;
    socklen_t len = sizeof peer;

    if (listener->shut)
        return TAKE_NONE;
    for (;;) {
        int flags = SOCK_CLOEXEC | (nonblock ? SOCK_NONBLOCK : 0);
        connection->fd = accept4(listener->canonical_fd, (struct sockaddr *)&peer, &len, flags);
        if (connection->fd >= 0)
            break;
        if (errno == EAGAIN || errno == EINVAL) /* EINVAL: shut down, see dispatch.c, revive() */
            return TAKE_NONE;
        if (is_shortage(errno))
            return TAKE_SHORT;
        /* anything else concerns that one connection, see accept(2), "Error handling" */
        len = sizeof peer;
    }
    wire_head_init(&connection->offer.head, WIRE_OFFER);
    connection->offer.flags = nonblock ? WIRE_OFFER_NONBLOCK : 0;
    connection->offer.addr_len = len <= WIRE_ADDRESS_MAX ? len : WIRE_ADDRESS_MAX;
    memcpy(connection->offer.addr, &peer, connection->offer.addr_len);
    return TAKE_DONE;
}

/* The oldest offer that its worker does not take. */
static enum take take_stranded(struct listener *listener, struct take_connection *connection)
{
    struct channel *channel;

    while ((channel = TAILQ_FIRST(&listener->stranded)) != NULL) {
        connection->fd = channel_recall(channel, &connection->offer);
        if (connection->fd >= 0) {
            listener->counts->recalled++;
            return TAKE_DONE;
        }
        channel_set_stranded(channel, false);
        worker_on_channel_drained(channel); /* may free it */
    }
    return TAKE_NONE;
}

enum take take_next(struct listener *listener, const struct channel *channel,
                    struct take_connection *connection)
{
    uint32_t wishes = atomic_load_explicit(&channel->board->worker.flags, memory_order_relaxed);

    if (listener->held_fd >= 0) {
        connection->fd = listener->held_fd;
        connection->offer = listener->held;
        listener->held_fd = -1;
        return TAKE_DONE;
    }
    if (take_stranded(listener, connection) == TAKE_DONE)
        return TAKE_DONE;
    return take_from_backlog(listener, (wishes & BOARD_WANTS_NONBLOCK) != 0, connection);
}

void take_hold(struct listener *listener, const struct take_connection *connection)
{
    listener->held_fd = connection->fd;
    listener->held = connection->offer;
}
