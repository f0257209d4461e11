/* claim.c - who asks, whether the address is shared, and the binding of the canonical socket. */
#include "broker/share/claim.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "broker/base/broker.h"
#include "broker/base/log.h"
#include "broker/base/procfs.h"
#include "broker/life/heirs.h"
#include "broker/life/stop.h"
#include "broker/pool/closer.h"
#include "broker/pool/listener.h"
#include "broker/pool/worker.h"
#include "broker/share/adopt.h"
#include "broker/share/grant.h"

/* --- who asks, and for what --- */

static bool may_join(const struct session *session, const struct wire_auth *auth)
{
    return auth->slot == WIRE_SLOT_NONE &&
           (session->peer.uid == 0 || session->peer.uid == broker.uid);
}

bool claim_may_ask(const struct session *session, const struct wire_auth *auth)
{
    return worker_find_by_token(auth) || may_join(session, auth);
}

struct worker *claim_identify(const struct session *session, const struct wire_auth *auth)
{
    struct worker *worker = worker_find_by_token(auth);

    if (worker)
        heirs_correct(worker, session->peer.pid);
    else if (may_join(session, auth))
        worker = adopt_joiner(session->peer.pid);
    return worker;
}

static bool matches_any(const struct config_patterns *patterns, const struct address *address,
                        const struct socket_key *key)
{
    for (int i = 0; i < patterns->count; i++)
        if (address_matches(address, key->zone, patterns->at[i]))
            return true;
    return false;
}

/* What listens late (FTP's data ports) or on port 0 is a worker's own, unless --share says
 * otherwise or it is an address that is shared already. */
static bool is_shared(const struct worker *worker, const struct address *address,
                      const struct socket_key *key)
{
    if (matches_any(&broker.config.private, address, key))
        return false;
    if (matches_any(&broker.config.share, address, key))
        return true;
    if (address_has_port_zero(address))
        return false;
    return worker_accepted(worker) == 0 || listener_find(address, key, 0);
}

/* Whether some process of the worker still has this channel; a close that no hook saw leaves it
 * open here. */
static bool is_held(const struct channel *channel)
{
    struct stat info;

    /* --handoff direct: what listens is the canonical socket itself, and it is not hidden too */
    bool direct = runtime.handoff == HANDOFF_DIRECT && channel->listening;
    int fd = direct ? channel->listener->canonical_fd : channel->their_fd;

    return atomic_load(&channel->board->worker.holders) > 0 &&
           (fstat(fd, &info) < 0 || procfs_tree_holds_socket(channel->worker->pid, info.st_ino));
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

bool claim_is_same_file(int a_fd, int b_fd)
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
    return grant_answer(session, WIRE_FAILED, error);
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
        closer_close(fd);
        return grant_answer(session, WIRE_FAILED, EINVAL);
    }
    if (bind(fd, (const struct sockaddr *)&address->storage, address->len) < 0 &&
        !is_bound_to(fd, address)) {
        int error = errno;
        closer_close(fd);
        return note_bind_error(session, worker, address, error);
    }
    struct listener *listener = listener_create(address, ordinal, -1);
    if (!listener) {
        closer_close(fd);
        return grant_answer(session, WIRE_FAILED, ENOMEM);
    }
    if (listener_set_canonical(listener, fd) < 0) {
        listener_destroy(listener);
        return grant_answer(session, WIRE_FAILED, ENOMEM);
    }
    worker->bind_error = 0;
    return grant_channel(session, listener, worker);
}

static bool claim_name(struct session *session, struct worker *worker,
                       const struct wire_claim *claim, int fd)
{
    struct address address;
    struct socket_key key;

    if (!address_from_wire(&address, &claim->address) || address_is_path(&address)) {
        closer_close(fd);
        return false;
    }
    socket_key_read(&key, &address, fd);
    if (!is_shared(worker, &address, &key)) {
        closer_close(fd);
        return grant_answer(session, WIRE_PRIVATE, 0);
    }
    unsigned ordinal = address_has_port_zero(&address) ? worker_count_port_zero(worker) : 0;
    struct listener *listener = listener_find(&address, &key, ordinal);
    if (!listener)
        return claim_new_name(session, worker, &address, ordinal, fd);
    closer_close(fd);
    if (collides(worker, listener, claim->flags & WIRE_CLAIM_REUSEPORT))
        return grant_answer(session, WIRE_FAILED, EADDRINUSE);
    return grant_channel(session, listener, worker);
}

/* --- paths --- */

/* Where one copy has all, a path that it has removed is free, even if the socket lives on. */
static bool is_lost(const struct listener *listener)
{
    return config_is_exact(&broker.config) && listener->path.ino && !path_is_there(&listener->path);
}

static struct listener *find_path(const struct address *address, int folder_fd)
{
    struct listener *listener;

    TAILQ_FOREACH(listener, &listeners, all)
        if (listener->path.folder_fd >= 0 && address_equal(&listener->key, address) &&
            claim_is_same_file(listener->path.folder_fd, folder_fd) && !is_lost(listener))
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
    static const struct socket_key no_key; /* a file is the same from everywhere */
    struct address address;
    struct stat info;

    if (session->reserved || !address_from_wire(&address, &claim->address) ||
        !address_is_path(&address) || fstat(fd, &info) < 0 || !S_ISDIR(info.st_mode)) {
        closer_close(fd);
        return false;
    }
    struct listener *listener = find_path(&address, fd);
    if (session_count_claims(worker->slot) >= SESSION_CLAIMS_MAX) {
        closer_close(fd);
        return grant_answer(session, WIRE_FAILED, ENOMEM);
    }
    session->claim_slot = worker->slot;
    if (listener && listener->reserved_by)
        return park(session, claim, fd);
    if (!listener && !is_shared(worker, &address, &no_key)) {
        closer_close(fd);
        return grant_answer(session, WIRE_PRIVATE, 0);
    }
    if (!listener) {
        listener = listener_create(&address, 0, fd);
        if (!listener)
            return grant_answer(session, WIRE_FAILED, ENOMEM);
        listener->reserved_by = session;
        session->reserved = listener;
        return grant_answer(session, WIRE_VACANT, 0);
    }
    closer_close(fd);
    if (collides(worker, listener, false))
        return grant_answer(session, WIRE_FAILED, EADDRINUSE);
    path_restore(&listener->path);
    return grant_channel(session, listener, worker);
}

/* Second step: the worker has bound the path. */
static bool claim_bound(struct session *session, struct worker *worker, int fd)
{
    struct listener *listener = session->reserved;

    if (!listener || !is_fit(fd, &listener->key)) {
        closer_close(fd);
        return false;
    }
    if (!listener_guard_path(listener)) { /* by the next copy, which waits for us: bind it again */
        closer_close(fd);
        return grant_answer(session, WIRE_VACANT, 0);
    }
    session->reserved = NULL;
    listener->reserved_by = NULL;
    if (listener_set_canonical(listener, fd) < 0) {
        listener_destroy(listener);
        return grant_answer(session, WIRE_FAILED, ENOMEM);
    }
    grant_channel(session, listener, worker);
    session_retry_parked();
    return false;
}

bool claim_handle(struct session *session, const struct wire_claim *claim, int fd)
{
    struct worker *worker = claim_identify(session, &claim->auth);

    if (!worker || stop_is_under_way()) {
        log_debug("pid %d, uid %u is no worker of this broker", (int)session->peer.pid,
                  (unsigned)session->peer.uid);
        closer_close(fd);
        return false;
    }
    if (claim->flags & WIRE_CLAIM_FOLDER)
        return claim_folder(session, worker, claim, fd);
    if (claim->flags & WIRE_CLAIM_BOUND)
        return claim_bound(session, worker, fd);
    return claim_name(session, worker, claim, fd);
}
