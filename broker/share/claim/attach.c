/* attach.c - see attach.h. */
#include "broker/share/claim/attach.h"

#include <errno.h>
#include <unistd.h>

#include "broker/base/broker.h"
#include "broker/base/journal.h"
#include "broker/handout/handout.h"
#include "broker/life/stop.h"
#include "broker/pool/closer.h"
#include "broker/pool/listener.h"
#include "broker/pool/worker.h"
#include "broker/share/channel_messages.h"
#include "broker/share/claim/bind.h"
#include "broker/share/claim/claim.h"
#include "broker/share/claim/rights.h"
#include "broker/share/grant.h"
#include "broker/share/retire.h"

/* The listener whose canonical socket this is. */
static struct listener *find_by_socket(int fd)
{
    struct listener *listener;

    if (fd < 0)
        return NULL;
    TAILQ_FOREACH(listener, &listeners, all)
        if (listener->canonical_fd >= 0 && bind_is_same_file(listener->canonical_fd, fd))
            break;
    return listener;
}

/* The process that has it asks again, and has not closed it: it has executed a program, and is
 * counted. Where no other process has it, the threads that waited and the connections that were
 * open are those of the program before. */
static bool is_executed_anew(const struct session *session, const struct wire_attach *attach,
                             const struct channel *channel)
{
    return (attach->flags & WIRE_ATTACH_UNCLOSED) && channel->grant.claimant > 0 &&
           channel->grant.claimant == session->peer.pid &&
           atomic_load(&channel->board->worker.holders) > 0;
}

static void begin_anew(struct channel *channel)
{
    if (atomic_load(&channel->board->worker.holders) == 1)
        channel_forget_program(channel);
}

/* One more process has it. The broker counts it: the sender may close it before the answer arrives,
 * and must not be the last one. */
static void share(struct session *session, const struct wire_attach *attach,
                  struct channel *channel, int worker_fd)
{
    if (is_executed_anew(session, attach, channel)) {
        begin_anew(channel);
        grant_send(session, channel, worker_fd);
        return;
    }
    atomic_fetch_add(&channel->board->worker.holders, 1);
    if (!grant_send(session, channel, worker_fd))
        atomic_fetch_sub(&channel->board->worker.holders, 1);
}

/* Any socket of the worker's own would be one else, which no --share names and no limit counts. */
static bool was_ours(const struct address *address)
{
    return !address_is_path(address) && retire_was_ours(address);
}

/* A listener that ended because no worker listened there; the socket (takes it) is still bound.
 * NULL: it is none, or another listener has the address by now. */
static struct listener *make_again(int fd)
{
    struct address address = {.len = sizeof address.storage};
    struct socket_key key;
    struct listener *listener = NULL;

    if (fd >= 0 && getsockname(fd, (struct sockaddr *)&address.storage, &address.len) == 0 &&
        was_ours(&address) && socket_key_is_fit(fd, address.storage.ss_family)) {
        socket_key_read(&key, &address, fd);
        if (!listener_find(&address, &key, 0))
            listener = listener_create(&address, 0, NULL);
    }
    if (!listener) {
        closer_close(fd);
    } else if (listener_set_canonical(listener, fd) < 0) {
        listener_destroy(listener);
        listener = NULL;
    }
    return listener;
}

static struct listener *find_or_make_again(int fd)
{
    struct listener *listener = find_by_socket(fd);

    if (!listener || listener->shut)
        return make_again(fd);
    closer_close(fd);
    return listener;
}

/* shutdown(2) and then listen(2): the old channel is over, whether we have noticed it or not. Takes
 * the socket. */
static bool renew(struct session *session, struct worker *worker, struct channel *channel, int fd)
{
    struct listener *listener = NULL;

    if (stop_is_under_way() || !rights_has_room(session->peer.uid, worker))
        closer_close(fd);
    else
        listener = find_or_make_again(fd);
    if (!listener)
        return grant_answer(session, WIRE_FAILED, EINVAL);
    if (channel)
        worker_close_channel(channel);
    return grant_channel(session, listener, worker);
}

/* Closed ones included. */
static struct channel *find_channel(const struct worker *worker, uint64_t id)
{
    struct channel *channel;

    LIST_FOREACH(channel, &worker->channels, of_worker)
        if (channel->id == id)
            break;
    return channel;
}

/* The worker has closed it, but another process still had it. */
static bool reopen(struct channel *channel, int fd)
{
    if (fd < 0 || !channel_take_back(channel, fd))
        return false;
    channel_set_recallable(channel, false);
    if (channel->listening)
        handout_start(channel->listener, channel);
    return true;
}

/* A program that received the canonical socket, over exec or by SCM_RIGHTS: it shares the channel
 * of its worker, or gets a new one if that is closed. */
static bool attach_by_socket(struct session *session, const struct wire_attach *attach, int fd)
{
    struct listener *listener = find_by_socket(fd);
    struct worker *worker = NULL;
    struct channel *channel = NULL;

    closer_close(fd);
    if (listener && runtime.handoff == HANDOFF_DIRECT && !stop_is_under_way())
        worker = claim_identify(session, &attach->auth);
    if (worker)
        channel = worker_find_channel(worker, listener);
    if (!worker)
        return grant_answer(session, WIRE_FAILED, EINVAL);
    if (!channel || channel->their_fd < 0) /* let go of: no copy of it is left to be given */
        return grant_channel(session, listener, worker);
    share(session, attach, channel, channel->their_fd);
    return false;
}

/* A channel that was closed before the request must be gone with the answer. epoll reports links
 * and channels in any order. False: it is being closed. */
static bool is_settled(const struct session *session, struct worker *worker)
{
    bool may_settle = session_may_settle(session, worker->slot);

    channel_messages_read_waiting(worker);
    if (may_settle && !closer_is_settled())
        return false;
    listener_retire_now(NULL);
    return !may_settle || closer_is_settled();
}

bool attach_handle(struct session *session, const struct wire_attach *attach, int fd)
{
    if (!claim_may_ask(session, &attach->auth)) { /* a stranger gets no answer */
        closer_close(fd);
        return false;
    }
    if (attach->flags & WIRE_ATTACH_SOCKET)
        return attach_by_socket(session, attach, fd);
    struct worker *worker = claim_identify(session, &attach->auth);
    struct channel *channel = NULL;

    if (worker && config_is_exact(&broker.config) && !is_settled(session, worker)) {
        session_park(session, worker->slot, WIRE_ATTACH, attach, fd);
        return true;
    }
    if (worker)
        channel = find_channel(worker, attach->channel);
    if (worker && (attach->flags & WIRE_ATTACH_RENEW))
        return renew(session, worker, channel, fd);
    bool is_open = channel && (!channel->closed || reopen(channel, fd));
    if (!channel || channel->their_fd != fd)
        closer_close(fd);
    if (channel && config_is_exact(&broker.config))
        channel_stop_recall(channel);
    if (!worker)
        return false;
    if (!is_open)
        return grant_answer(session, WIRE_FAILED, EINVAL);
    share(session, attach, channel, -1);
    return false;
}
