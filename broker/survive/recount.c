/* recount.c - see recount.h. */
#include "broker/survive/recount.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/base/journal.h"
#include "broker/base/log.h"
#include "broker/base/process/procfs.h"
#include "broker/handout/dispatch.h"
#include "broker/handout/front/stages.h"
#include "broker/handout/take.h"
#include "broker/pool/closer.h"
#include "broker/pool/listener.h"
#include "broker/pool/worker.h"

struct offer {
    struct channel *channel;
    struct take_connection connection;
    struct offer *next;
};

static struct offer *offers;
static struct offer **last_offer = &offers;
static const int *strays; /* numbers; see recount_begin */
static int stray_count;
static int sent_fd =
    -1; /* the stray that was the connection in hand, when it had been sent already */

void recount_begin(const int *fds, int count)
{
    strays = fds;
    stray_count = count;
}

/* A descriptor that the journal names may be closed already, and an offer may have its number. */
static bool is_stray(int fd)
{
    for (int i = 0; i < stray_count; i++)
        if (strays[i] == fd)
            return true;
    return false;
}

/* Whether the worker has received this connection, be it counted or not. */
static bool has_received(const struct channel *channel, int fd)
{
    struct stat info;

    return fstat(fd, &info) == 0 && procfs_tree_holds_socket(channel->worker->pid, info.st_ino);
}

/* Closes and forgets at once. Else, if we are killed, the next broker would send this connection
 * again, or take the number for another connection. */
static void judge_in_hand(struct channel *channel, int fd, bool was_sent)
{
    channel->listener->counts->handed = journal_live.in_hand->handed - !was_sent;
    if (!was_sent)
        return;
    if (is_stray(fd)) {
        closer_give(fd);
        sent_fd = fd;
    }
    atomic_store(journal_live.in_hand_fd, -1);
}

void recount_channel(struct channel *channel)
{
    const struct journal_in_hand *in_hand = journal_live.in_hand;
    int fd = atomic_load(journal_live.in_hand_fd);
    bool is_in_hand = fd >= 0 && in_hand->channel == channel->id;
    struct take_connection connection;
    uint64_t found = 0;

    channel_set_recalling(channel, true); /* until it is all there again */
    while ((connection.fd = channel_recall(channel, &connection.offer)) >= 0) {
        struct offer *offer = calloc(1, sizeof *offer);
        if (!offer)
            abort();
        offer->channel = channel;
        offer->connection = connection;
        *last_offer = offer;
        last_offer = &offer->next;
        channel->listener->counts->recalled++;
        found++;
    }
    /* A worker counts after it has received and before it closes: look at its fds, then count.
     * Closed are only those that were sent. */
    bool was_sent = is_in_hand && (!is_stray(fd) || has_received(channel, fd));
    uint64_t taken = channel_restart_counters(channel);
    if (is_in_hand)
        judge_in_hand(channel, fd, was_sent || taken + found >= in_hand->net);
}

/* It came out of this channel, so there is room in it, unless the kernel is short of something. */
static void put_back(struct channel *channel, const struct take_connection *connection)
{
    if (dispatch_hand(channel, connection, loop_now_ms()))
        return;
    if (!channel->listener->take.holds) {
        take_hold(channel->listener, connection);
        atomic_store(journal_live.in_hand_fd, -1);
        return;
    }
    log_error("a connection could not be put back; it is lost");
    closer_give(connection->fd);
}

void recount_finish(void)
{
    struct worker *worker;
    struct channel *channel;

    while (offers) {
        struct offer *offer = offers;
        offers = offer->next;
        put_back(offer->channel, &offer->connection);
        free(offer);
    }
    last_offer = &offers;
    LIST_FOREACH(worker, &workers, all)
        LIST_FOREACH(channel, &worker->channels, of_worker)
            channel_set_recalling(channel, false);
}

static in_port_t port_of(const struct sockaddr_storage *address)
{
    return address->ss_family == AF_INET ? ((const struct sockaddr_in *)address)->sin_port
                                         : ((const struct sockaddr_in6 *)address)->sin6_port;
}

/* The listener that a connection was accepted from: the same local address, else the same port on a
 * wildcard. */
static struct listener *find_origin(int fd)
{
    struct address local = {.len = sizeof local.storage};
    struct listener *listener;
    struct listener *same_port = NULL;

    if (getsockname(fd, (struct sockaddr *)&local.storage, &local.len) < 0)
        return NULL;
    TAILQ_FOREACH(listener, &listeners, all) {
        if (address_equal(&listener->bound, &local))
            return listener;
        if (local.storage.ss_family != AF_UNIX && listener->bound.storage.ss_family != AF_UNIX &&
            port_of(&listener->bound.storage) == port_of(&local.storage))
            same_port = listener;
    }
    return same_port;
}

/* No worker is idle: it waits in a channel, and is recalled as soon as a worker is idle. */
static bool put_anywhere(struct listener *listener, const struct take_connection *connection)
{
    for (uint32_t i = 0; i < listener->channel_count; i++) {
        struct channel *channel = listener->channels[i];
        if (channel->listening && !channel->closed &&
            dispatch_hand(channel, connection, loop_now_ms()))
            return true;
    }
    return false;
}

void recount_rescue(int fd)
{
    struct take_connection connection = {.fd = fd};
    struct sockaddr_storage peer;
    socklen_t len = sizeof peer;
    if (fd == sent_fd)
        return;
    struct listener *listener = find_origin(fd);
    if (!listener || listener->take.holds || getpeername(fd, (struct sockaddr *)&peer, &len) < 0) {
        close(fd);
        return;
    }
    connection.offer.head = WIRE_HEAD(WIRE_OFFER);
    connection.offer.addr_len = len <= WIRE_ADDRESS_MAX ? len : WIRE_ADDRESS_MAX;
    memcpy(connection.offer.addr, &peer, connection.offer.addr_len);
    if (listener->front.is_on) {
        stages_enter_again(listener, fd, &connection.offer);
        return;
    }
    take_hold(listener, &connection);
    dispatch_pump(listener);
    if (listener->take.holds && put_anywhere(listener, &connection))
        take_end_hold(listener); /* there is room for the next one */
}
