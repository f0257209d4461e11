/* claim.c - decides whether an address is shared, binds the canonical socket, makes channels. */
#include "claim.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "broker.h"
#include "dispatch.h"
#include "fleet.h"
#include "log.h"
#include "pace.h"
#include "procfs.h"
#include "journal.h"
#include "stop.h"
#include "proto/fdpass.h"

/* --- mail on a channel --- */

static void on_listen(struct channel *channel, const struct wire_listen *message)
{
    char text[ADDRESS_TEXT_MAX];

    channel->listening = true;
    channel->worker->has_listened = true;
    journal_touch();
    channel->listener->backlog = message->backlog;
    log_debug("worker %u listens on %s", channel->worker->slot,
              address_format(&channel->listener->bound, text));
    dispatch_start(channel->listener, channel);
    fleet_on_listen(channel->worker);
}

/* Shut down by the worker, in which case what it holds goes to others, or closed by all at last. */
static void on_end_of_file(struct channel *channel)
{
    loop_remove(&channel->watch); /* or its hang-up would be reported for ever */
    channel->watch.fd = -1;
    if (channel->their_fd < 0)
        worker_on_channel_drained(channel);
    else
        worker_close_channel(channel);
}

static void on_channel_ready(struct loop_watch *watch, uint32_t events)
{
    struct channel *channel = loop_container(watch, struct channel, watch);
    union {
        struct wire_head head;
        struct wire_listen listen;
    } message;
    int fd;
    int truncated;

    (void)events;
    ssize_t got = fdpass_recv(watch->fd, &message, sizeof message, &fd,
                              MSG_DONTWAIT | MSG_CMSG_CLOEXEC, &truncated);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got == 0) {
        on_end_of_file(channel);
        return;
    }
    int type = got > 0 && !truncated ? wire_check(&message, (size_t)got, fd >= 0) : -1;
    if (fd >= 0)
        close(fd);
    switch (type) {
    case WIRE_WAKE: dispatch_wake(channel); break;
    case WIRE_LISTEN: on_listen(channel, &message.listen); break;
    case WIRE_CLOSE: worker_close_channel(channel); break;
    default: break; /* noise; a flood of it costs the flooder's own time on one core */
    }
}

int claim_watch_channel(struct channel *channel)
{
    channel->watch.on_ready = on_channel_ready;
    if (loop_add(&channel->watch, EPOLLIN) < 0)
        return -1;
    listener_add_channel(channel->listener, channel);
    LIST_INSERT_HEAD(&channel->worker->channels, channel, of_worker);
    return 0;
}

/* --- answers --- */

static bool answer(struct session *session, enum wire_verdict verdict, int error)
{
    struct wire_grant grant = {.verdict = verdict, .error = error};

    wire_head_init(&grant.head, WIRE_GRANT);
    session_send(session, &grant, sizeof grant, -1);
    return verdict == WIRE_VACANT;
}

static bool send_with_fd(struct session *session, enum wire_type type, int fd)
{
    struct wire_head head;

    wire_head_init(&head, type);
    return session_send(session, &head, sizeof head, fd);
}

/* Everything that belongs to a channel; worker_fd is -1 when the worker has its end already. */
static bool send_grant(struct session *session, const struct channel *channel, int worker_fd)
{
    struct wire_grant grant = {
        .verdict = WIRE_SHARED,
        .channel = channel->id,
        .backlog = (uint32_t)broker.config.backlog,
    };

    wire_head_init(&grant.head, WIRE_GRANT);
    return session_send(session, &grant, sizeof grant, worker_fd) &&
           send_with_fd(session, WIRE_SHADOW, channel->listener->canonical_fd) &&
           send_with_fd(session, WIRE_BOARD, channel->board_fd);
}

/* Makes a channel for this worker and gives it; the session is over. */
static bool grant_channel(struct session *session, struct listener *listener, struct worker *worker)
{
    int worker_fd;
    struct channel *channel = channel_create(listener, worker, &worker_fd);

    if (!channel)
        return answer(session, WIRE_FAILED, ENOMEM);
    if (claim_watch_channel(channel) < 0) {
        close(worker_fd);
        channel_destroy(channel);
        return answer(session, WIRE_FAILED, ENOMEM);
    }
    channel_set_flag(channel, BOARD_DIRECT, broker.config.handoff == HANDOFF_DIRECT);
    pace_publish(listener, channel);
    channel_set_flag(channel, BOARD_SHARE_LATE, broker.config.share.count > 0);
    if (!send_grant(session, channel, worker_fd))
        worker_close_channel(channel);
    close(worker_fd);
    return false;
}

/* --- who asks, and for what --- */

static struct worker *identify(const struct session *session, const struct wire_auth *auth)
{
    struct worker *worker = worker_find_by_token(auth);

    if (worker || auth->slot != WIRE_SLOT_NONE)
        return worker;
    if (session->peer.uid != 0 && session->peer.uid != broker.uid)
        return NULL;
    return fleet_join(session->peer.pid);
}

static bool matches_any(const struct config_patterns *patterns, const struct address *address)
{
    for (int i = 0; i < patterns->count; i++)
        if (address_matches(address, patterns->at[i]))
            return true;
    return false;
}

/* What listens late (FTP's data ports) or on port 0 is a worker's own, unless --share says otherwise
 * or it is an address that is shared already. */
static bool is_shared(const struct worker *worker, const struct address *address)
{
    if (matches_any(&broker.config.private, address))
        return false;
    if (matches_any(&broker.config.share, address))
        return true;
    if (address_has_port_zero(address))
        return false;
    return worker_accepted(worker) == 0 || listener_find(address, 0);
}

/* Whether some process of the worker still has this channel; a close that no hook saw leaves it
 * open here. */
static bool is_held(const struct channel *channel)
{
    struct stat info;

    if (atomic_load(&channel->board->worker.holders) == 0)
        return false;
    if (broker.config.handoff == HANDOFF_DIRECT)
        return true; /* the program's fd is the canonical socket, of which there are many */
    return fstat(channel->their_fd, &info) < 0 ||
           procfs_tree_holds_socket(channel->worker->pid, info.st_ino);
}

static bool has_reuseport(int fd)
{
    int on = 0;
    socklen_t len = sizeof on;

    return getsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, &len) == 0 && on;
}

/* bind(2) of an address that this worker has bound already; reuse: SO_REUSEPORT is set now. */
static bool collides(const struct worker *worker, const struct listener *listener, bool reuse)
{
    struct channel *channel = worker_find_channel(worker, listener);

    if (!channel || (reuse && has_reuseport(listener->canonical_fd)))
        return false;
    if (is_held(channel))
        return true;
    worker_close_channel(channel);
    return false;
}

/* A stream socket of the address's family: nothing else may become canonical. */
static bool is_fit(int fd, const struct address *address)
{
    int type = 0;
    int domain = 0;
    socklen_t len = sizeof type;

    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_STREAM &&
           getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 &&
           domain == address->storage.ss_family;
}

/* The canonical socket is only ever accepted from without waiting, by whoever shares it. */
static int adopt_socket(struct listener *listener, int fd)
{
    if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0) {
        close(fd);
        return -1;
    }
    return listener_set_canonical(listener, fd);
}

static bool is_same_file(int a_fd, int b_fd)
{
    struct stat a;
    struct stat b;

    return fstat(a_fd, &a) == 0 && fstat(b_fd, &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

/* --- names: IPv4, IPv6, abstract --- */

static bool note_bind_error(struct session *session, struct worker *worker,
                            const struct address *address, int error)
{
    worker->bind_error = error;
    worker->bind_address = *address;
    return answer(session, WIRE_FAILED, error);
}

/* A broker that was killed before it could answer has bound it already. */
static bool is_bound_to(int fd, const struct address *address)
{
    int saved = errno;
    struct address bound = {.len = sizeof bound.storage};
    bool same = getsockname(fd, (struct sockaddr *)&bound.storage, &bound.len) == 0 &&
                address_equal(&bound, address);

    errno = saved;
    return same;
}

static bool claim_new_name(struct session *session, struct worker *worker,
                           const struct address *address, unsigned ordinal, int fd)
{
    if (!is_fit(fd, address)) {
        close(fd);
        return answer(session, WIRE_FAILED, EINVAL);
    }
    if (bind(fd, (const struct sockaddr *)&address->storage, address->len) < 0 &&
        !is_bound_to(fd, address)) {
        int error = errno;
        close(fd);
        return note_bind_error(session, worker, address, error);
    }
    struct listener *listener = listener_create(address, ordinal, -1);
    if (!listener) {
        close(fd);
        return answer(session, WIRE_FAILED, ENOMEM);
    }
    if (adopt_socket(listener, fd) < 0) {
        listener_destroy(listener);
        return answer(session, WIRE_FAILED, ENOMEM);
    }
    worker->bind_error = 0;
    return grant_channel(session, listener, worker);
}

static bool claim_name(struct session *session, struct worker *worker,
                       const struct wire_claim *claim, int fd)
{
    struct address address;

    if (!address_from_wire(&address, &claim->address) || address_is_path(&address)) {
        close(fd);
        return false;
    }
    if (!is_shared(worker, &address)) {
        close(fd);
        return answer(session, WIRE_PRIVATE, 0);
    }
    unsigned ordinal = address_has_port_zero(&address) ? ++worker->port_zero_claims : 0;
    struct listener *listener = listener_find(&address, ordinal);
    if (!listener)
        return claim_new_name(session, worker, &address, ordinal, fd);
    close(fd);
    if (collides(worker, listener, claim->flags & WIRE_CLAIM_REUSEPORT))
        return answer(session, WIRE_FAILED, EADDRINUSE);
    return grant_channel(session, listener, worker);
}

/* --- paths --- */

static struct listener *find_path(const struct address *address, int folder_fd)
{
    struct listener *listener;

    TAILQ_FOREACH(listener, &listeners, all)
        if (listener->path.folder_fd >= 0 && address_equal(&listener->key, address) &&
            is_same_file(listener->path.folder_fd, folder_fd))
            return listener;
    return NULL;
}

static bool park(struct session *session, const struct wire_claim *claim, int fd)
{
    session->claim = *claim;
    session->claim_fd = fd;
    session->parked = true;
    return true;
}

/* First step: the folder and the name. */
static bool claim_folder(struct session *session, struct worker *worker,
                         const struct wire_claim *claim, int fd)
{
    struct address address;
    struct stat info;

    if (session->reserved || !address_from_wire(&address, &claim->address) ||
        !address_is_path(&address) || fstat(fd, &info) < 0 || !S_ISDIR(info.st_mode)) {
        close(fd);
        return false;
    }
    struct listener *listener = find_path(&address, fd);
    if (listener && listener->reserved_by)
        return park(session, claim, fd);
    if (!listener && !is_shared(worker, &address)) {
        close(fd);
        return answer(session, WIRE_PRIVATE, 0);
    }
    if (!listener) {
        listener = listener_create(&address, 0, fd);
        if (!listener)
            return answer(session, WIRE_FAILED, ENOMEM);
        listener->reserved_by = session;
        session->reserved = listener;
        return answer(session, WIRE_VACANT, 0);
    }
    close(fd);
    if (collides(worker, listener, false))
        return answer(session, WIRE_FAILED, EADDRINUSE);
    path_restore(&listener->path);
    return grant_channel(session, listener, worker);
}

/* Second step: the worker has bound the path. */
static bool claim_bound(struct session *session, struct worker *worker, int fd)
{
    struct listener *listener = session->reserved;

    if (!listener || !is_fit(fd, &listener->key)) {
        close(fd);
        return false;
    }
    if (!listener_guard_path(listener)) { /* by the next copy, which waits for us: bind it again */
        close(fd);
        return answer(session, WIRE_VACANT, 0);
    }
    session->reserved = NULL;
    listener->reserved_by = NULL;
    if (adopt_socket(listener, fd) < 0) {
        listener_destroy(listener);
        return answer(session, WIRE_FAILED, ENOMEM);
    }
    grant_channel(session, listener, worker);
    session_retry_parked();
    return false;
}

bool claim_handle(struct session *session, const struct wire_claim *claim, int fd)
{
    struct worker *worker = identify(session, &claim->auth);

    if (!worker || stop_is_under_way()) {
        log_debug("pid %d, uid %u is no worker of this broker", (int)session->peer.pid,
                  (unsigned)session->peer.uid);
        close(fd);
        return false;
    }
    if (claim->flags & WIRE_CLAIM_FOLDER)
        return claim_folder(session, worker, claim, fd);
    if (claim->flags & WIRE_CLAIM_BOUND)
        return claim_bound(session, worker, fd);
    return claim_name(session, worker, claim, fd);
}

/* --- attach --- */

/* The listener whose canonical socket this is. */
static struct listener *find_by_socket(int fd)
{
    struct listener *listener;

    if (fd < 0)
        return NULL;
    TAILQ_FOREACH(listener, &listeners, all)
        if (listener->canonical_fd >= 0 && is_same_file(listener->canonical_fd, fd))
            break;
    return listener;
}

/* shutdown(2) and then listen(2): the old channel is over, whether we have noticed it or not. */
static bool renew(struct session *session, struct worker *worker, struct channel *channel,
                  struct listener *listener)
{
    if (!listener)
        return answer(session, WIRE_FAILED, EINVAL);
    if (channel)
        worker_close_channel(channel);
    return grant_channel(session, listener, worker);
}

static void close_if_open(int fd)
{
    if (fd >= 0)
        close(fd);
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

/* The worker has closed it, and yet somebody had it still. */
static bool reopen(struct channel *channel, int fd)
{
    if (fd < 0 || !channel_take_back(channel, fd))
        return false;
    channel_set_stranded(channel, false);
    if (channel->listening)
        dispatch_start(channel->listener, channel);
    journal_touch();
    return true;
}

bool claim_attach(struct session *session, const struct wire_attach *attach, int fd)
{
    struct worker *worker = identify(session, &attach->auth);
    struct channel *channel = NULL;

    if (worker)
        channel = find_channel(worker, attach->channel);
    if (worker && (attach->flags & WIRE_ATTACH_RENEW)) {
        struct listener *listener = find_by_socket(fd);
        close_if_open(fd);
        return renew(session, worker, channel, listener);
    }
    bool is_open = channel && (!channel->closed || reopen(channel, fd));
    if (!channel || channel->their_fd != fd)
        close_if_open(fd);
    if (!worker)
        return false;
    if (!is_open)
        return answer(session, WIRE_FAILED, EINVAL);
    send_grant(session, channel, -1);
    return false;
}
