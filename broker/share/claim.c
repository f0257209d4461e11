/* claim.c - who asks, whether the address is shared, and the binding of the canonical socket. */
#include "broker/share/claim.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "broker/base/broker.h"
#include "broker/base/log.h"
#include "broker/base/procfs.h"
#include "broker/diagnose/failure.h"
#include "broker/life/slot.h"
#include "broker/life/stop.h"
#include "broker/pool/closer.h"
#include "broker/pool/listener.h"
#include "broker/pool/worker.h"
#include "broker/share/adopt.h"
#include "broker/share/channel_messages.h"
#include "broker/diagnose/clients.h"
#include "broker/share/grant.h"
#include "broker/share/rights.h"
#include "broker/share/retire.h"

#define GRANT_ARRIVES_MS 2000 /* a stopped or starved process may take longer */

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

    if (!worker && may_join(session, auth))
        worker = adopt_joiner(session->peer.pid);
    if (worker)
        worker->has_asked = true;
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

/* Whether it has begun to serve clients. What a worker with a filter accepts is not seen: it has a
 * client now, as an FTP server with a data port. */
static bool is_late(const struct worker *worker, pid_t asker)
{
    if (worker_is_notified(worker))
        return worker->has_listened && clients_are_there(worker, asker);
    return worker_accepted(worker) > 0;
}

/* What listens late (FTP's data ports) or on port 0 is a worker's own, unless --share says
 * otherwise or it is an address that is shared already, or was. A worker that has closed all that
 * it had begins anew. */
static bool is_shared(const struct worker *worker, pid_t asker, const struct address *address,
                      const struct socket_key *key)
{
    if (matches_any(&broker.config.unshared, address, key))
        return false;
    if (matches_any(&broker.config.share, address, key))
        return true;
    if (address_has_port_zero(address))
        return false;
    return !is_late(worker, asker) || worker_has_left(worker) || listener_find(address, key, 0) ||
           retire_was_shared(address);
}

/* Whether some process of the worker still has this channel; a close that no hook saw leaves it
 * open here. */
static bool is_held(const struct channel *channel)
{
    struct stat info;

    /* --handoff direct: what listens is the canonical socket itself, and it is not hidden too. A
     * worker with a filter has it since its bind. */
    bool direct = runtime.handoff == HANDOFF_DIRECT &&
                  (channel->listening || worker_is_notified(channel->worker));
    int fd = direct ? channel->listener->canonical_fd : channel->their_fd;

    return atomic_load(&channel->board->worker.holders) > 0 &&
           (fstat(fd, &info) < 0 || procfs_tree_holds_socket(channel->worker->pid, info.st_ino));
}

/* Until the process that asked has taken its answer, no process has it. It asks for nothing else
 * meanwhile; another one may. */
static bool is_on_its_way(const struct channel *channel, pid_t asker)
{
    return channel->grant.claimant != asker &&
           loop_now_ms() - channel->grant.granted_ms < GRANT_ARRIVES_MS &&
           procfs_parent(channel->grant.claimant) > 0;
}

static bool has_reuseport(int fd)
{
    int on = 0;
    socklen_t len = sizeof on;

    return getsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, &len) == 0 && on;
}

/* bind(2) of an address that this worker has bound already; reuse: SO_REUSEPORT is set now. */
static bool collides(pid_t asker, const struct worker *worker, const struct listener *listener,
                     bool reuse)
{
    struct channel *channel = worker_find_channel(worker, listener);

    if (!channel || (reuse && has_reuseport(listener->canonical_fd)))
        return false;
    if (is_held(channel) || is_on_its_way(channel, asker))
        return true;
    worker_close_channel(channel);
    return false;
}

bool claim_is_fit(int fd, const struct address *address)
{
    int type = 0;
    int domain = 0;
    socklen_t len = sizeof type;

    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_STREAM &&
           getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 &&
           domain == address->storage.ss_family;
}

/* What is no socket is asked nothing: its file system might not answer. */
static bool is_socket(int fd)
{
    int type;
    socklen_t len = sizeof type;

    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0;
}

bool claim_is_same_file(int a_fd, int b_fd)
{
    struct stat a;
    struct stat b;

    return is_socket(b_fd) && fstat(a_fd, &a) == 0 && fstat(b_fd, &b) == 0 &&
           a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* A peer that does not keep to the protocol, or is nobody to us. */
static bool refuse(int fd)
{
    closer_close(fd);
    return false;
}

/* --- names: IPv4, IPv6, abstract --- */

static struct claim_verdict fail(int error)
{
    return (struct claim_verdict){.verdict = WIRE_FAILED, .error = error};
}

static struct claim_verdict note_bind_error(struct worker *worker, const struct address *address,
                                            int error)
{
    worker->bind_error = error;
    worker->bind_address = *address;
    if (!slot_was_ever_ready())
        failure_tell_bind(address, error);
    return fail(error);
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

/* Whether all workers have closed it; what was sent and not taken natively ends with that. */
static bool is_given_up(struct listener *listener)
{
    if (listener->inherited)
        return false;
    for (uint32_t i = 0; i < listener->channel_count; i++)
        if (!listener->channels[i]->closed)
            return false;
    for (uint32_t count; (count = listener->channel_count) > 0;) {
        worker_on_channel_drained(listener->channels[0]);
        if (listener->channel_count == count)
            return false; /* some process has it still, past the hooks */
    }
    return true;
}

void claim_abandon_client(struct listener *listener)
{
    uint32_t closed = 0;

    while (closed < listener->channel_count)
        if (listener->channels[closed]->closed)
            closed++;
        else
            worker_close_channel(listener->channels[closed]);
    if (is_given_up(listener))
        listener_destroy(listener);
}

/* What a worker with a filter has closed nobody tells. */
static void close_unheld(struct worker *worker)
{
    struct channel *channel = worker_is_notified(worker) ? LIST_FIRST(&worker->channels) : NULL;

    while (channel) {
        if (channel->closed || is_held(channel)) {
            channel = LIST_NEXT(channel, of_worker);
            continue;
        }
        worker_close_channel(channel); /* frees any that are closed */
        channel = LIST_FIRST(&worker->channels);
    }
}

/* A listener that no worker has any more, and that a new one's address overlaps: natively it would
 * be gone since its last close. */
void claim_give_up_unused(struct worker *worker, const struct address *address)
{
    channel_messages_read_waiting(worker);
    close_unheld(worker);
    listener_retire_now();
    struct listener *listener = TAILQ_FIRST(&listeners); /* not before: those may end it */
    while (listener) {
        struct listener *next = TAILQ_NEXT(listener, all);
        if (address_overlaps(&listener->bound, address) && is_given_up(listener))
            listener_destroy(listener);
        listener = next;
    }
}

/* 0 or the errno of bind(2). */
static int bind_canonical(int fd, struct worker *worker, const struct address *address)
{
    const struct sockaddr *name = (const struct sockaddr *)&address->storage;

    if (bind(fd, name, address->len) == 0 || is_bound_to(fd, address))
        return 0;
    if (errno != EADDRINUSE)
        return errno;
    claim_give_up_unused(worker, address);
    return bind(fd, name, address->len) == 0 ? 0 : errno;
}

static struct claim_verdict bind_new_name(struct worker *worker, const struct address *address,
                                          unsigned ordinal, int fd)
{
    if (!claim_is_fit(fd, address)) {
        closer_close(fd);
        return fail(EINVAL);
    }
    int error = bind_canonical(fd, worker, address);
    if (error) {
        closer_close(fd);
        return note_bind_error(worker, address, error);
    }
    struct listener *listener = listener_create(address, ordinal, NULL);
    if (!listener) {
        closer_close(fd);
        return fail(ENOMEM);
    }
    if (listener_set_canonical(listener, fd) < 0) {
        listener_destroy(listener);
        return fail(ENOMEM);
    }
    worker->bind_error = 0;
    return (struct claim_verdict){.verdict = WIRE_SHARED, .listener = listener};
}

/* Else the worker binds it by its own rights, and the kernel gives the answer. */
static bool may_be_new(struct worker *worker, const struct ucred *asker,
                       const struct address *address, const struct socket_key *key)
{
    char text[SOCKET_KEY_TEXT_MAX];

    if (rights_may_bind(asker->uid, address, matches_any(&broker.config.share, address, key)))
        return true;
    if (worker->told_of_rights)
        return false;
    worker->told_of_rights = true;
    log_info("worker %u (uid %u) is to bind %s by its own rights: this pool has not had that port; "
             "name it with --share to lend it those of the broker",
             worker->slot, (unsigned)asker->uid, socket_key_format(key, address, text));
    return false;
}

struct claim_verdict claim_bind_name(struct worker *worker, const struct ucred *asker,
                                     const struct address *address, bool reuseport, int fd)
{
    struct socket_key key;

    socket_key_read(&key, address, fd);
    channel_messages_read_waiting(worker); /* whether it has closed all that it had */
    if (!is_shared(worker, asker->pid, address, &key)) {
        closer_close(fd);
        return (struct claim_verdict){.verdict = WIRE_PRIVATE};
    }
    unsigned ordinal = address_has_port_zero(address) ? worker_count_port_zero(worker) : 0;
    struct listener *listener = listener_find(address, &key, ordinal);
    if (!listener && !may_be_new(worker, asker, address, &key)) {
        closer_close(fd);
        return (struct claim_verdict){.verdict = WIRE_PRIVATE};
    }
    if (!listener && !rights_has_room(asker->uid, worker)) {
        closer_close(fd);
        return fail(ENOMEM);
    }
    if (!listener)
        return bind_new_name(worker, address, ordinal, fd);
    closer_close(fd);
    if (collides(asker->pid, worker, listener, reuseport))
        return fail(EADDRINUSE);
    return (struct claim_verdict){.verdict = WIRE_SHARED, .listener = listener};
}

struct claim_verdict claim_bind_file(struct worker *worker, pid_t asker,
                                     const struct address *address, uint64_t view)
{
    const struct socket_key key = {.view = view};
    struct listener *listener = listener_find(address, &key, 0);

    if (!is_shared(worker, asker, address, &key))
        return (struct claim_verdict){.verdict = WIRE_PRIVATE};
    if (!listener)
        return (struct claim_verdict){.verdict = WIRE_VACANT};
    if (collides(asker, worker, listener, false))
        return fail(EADDRINUSE);
    worker->bind_error = 0;
    return (struct claim_verdict){.verdict = WIRE_SHARED, .listener = listener};
}

struct listener *claim_listen_file(struct worker *worker, pid_t asker,
                                   const struct address *address, uint64_t view, int fd)
{
    const struct socket_key key = {.view = view};

    if (!is_shared(worker, asker, address, &key))
        return NULL;
    struct listener *bound = listener_find(address, &key, 0);
    if (bound)
        listener_displace(bound);
    struct listener *listener = listener_create(address, 0, NULL);
    int canonical_fd = listener ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
    if (!listener)
        return NULL;
    if (canonical_fd < 0 || listener_set_canonical(listener, canonical_fd) < 0) {
        listener_destroy(listener);
        return NULL;
    }
    listener_set_view(listener, view);
    return listener;
}

static bool claim_name(struct session *session, struct worker *worker,
                       const struct wire_claim *claim, int fd)
{
    struct address address;

    if (!address_from_wire(&address, &claim->address) || address_is_path(&address))
        return refuse(fd);
    struct claim_verdict verdict =
        claim_bind_name(worker, &session->peer, &address, claim->flags & WIRE_CLAIM_REUSEPORT, fd);
    if (verdict.verdict == WIRE_SHARED)
        return grant_channel(session, verdict.listener, worker);
    return grant_answer(session, verdict.verdict, verdict.error);
}

/* --- paths --- */

/* 0, or -1 with the errno of path_open(). Takes fd if it succeeds. */
static int open_path(struct path *path, struct address *address, const struct wire_claim *claim,
                     int fd)
{
    const struct sockaddr_un *un = (const struct sockaddr_un *)&address->storage;

    if (!address_from_wire(address, &claim->address) || !address_is_path(address) ||
        address->len != offsetof(struct sockaddr_un, sun_path) + strlen(un->sun_path)) {
        errno = EINVAL;
        return -1;
    }
    return path_open(path, fd, un->sun_path);
}

/* A copy is about to remove the file, as servers do before they bind it: it is to stay. */
static bool answer_about_removal(struct session *session, struct listener *bound)
{
    struct wire_grant grant = {.head = WIRE_HEAD(WIRE_GRANT),
                               .verdict = WIRE_FAILED,
                               .error = EBUSY,
                               .channel = bound->path.ino};

    listener_owe_removal(bound);
    session_send(session, &grant, sizeof grant, -1);
    return false;
}

/* First step: the name in its folder is this peer's until its link ends. worker: NULL, a peer that
 * is about to remove the file. */
static bool claim_folder(struct session *session, struct worker *worker,
                         const struct wire_claim *claim, int fd)
{
    static const struct socket_key no_key; /* a file is the same from everywhere */
    struct address address;
    struct path path;
    uint32_t slot = worker ? worker->slot : claim->auth.slot;

    if (open_path(&path, &address, claim, fd) < 0) {
        int error = errno;
        closer_close(fd);
        return grant_answer(session, WIRE_FAILED, error);
    }
    struct listener *bound = listener_find_path(&path, false);
    bool many = session_count_claims(slot) >= SESSION_CLAIMS_MAX ||
                (worker && !bound && !rights_has_room(session->peer.uid, worker));
    session->claim_slot = slot;
    if (!many && listener_find_path(&path, true)) {
        session_park(session, claim, fd);
        return true;
    }
    bool private = worker && !bound && !is_shared(worker, session->peer.pid, &address, &no_key);
    bool stays = !worker && bound &&
                 (bound->inherited || (!config_is_exact(&broker.config) &&
                                       !retire_is_own(bound, worker_find_by_token(&claim->auth))));
    struct listener *listener =
        many || private || stays ? NULL : listener_create(&address, 0, &path);
    if (listener) {
        session_reserve(session, listener);
        return grant_answer(session, WIRE_VACANT, 0);
    }
    closer_close(fd);
    if (stays)
        return answer_about_removal(session, bound);
    return private ? grant_answer(session, WIRE_PRIVATE, 0)
                   : grant_answer(session, WIRE_FAILED, ENOMEM);
}

/* Whether this socket is bound, by a name that ends as the path does. */
static bool is_bound_to_path(int fd, const struct path *path)
{
    struct sockaddr_un addr;
    char name[sizeof addr.sun_path + 1] = {0};
    socklen_t len = sizeof addr;

    if (getsockname(fd, (struct sockaddr *)&addr, &len) < 0 ||
        len <= offsetof(struct sockaddr_un, sun_path))
        return false;
    memcpy(name, addr.sun_path, len - offsetof(struct sockaddr_un, sun_path));
    const char *slash = strrchr(name, '/');
    return strcmp(slash ? slash + 1 : name, path->name) == 0;
}

/* Whoever has bound a path may bind it again, and root, but no other worker in its place. */
static bool may_displace(const struct session *session, const struct listener *bound)
{
    return session->peer.uid == 0 || session->peer.uid == bound->path.owner.uid;
}

/* The path was there already: shared with the copy that has bound it, or not ours at all. */
static bool share_path(struct session *session, struct worker *worker, struct listener *bound)
{
    if (!bound)
        return grant_answer(session, WIRE_FAILED,
                            note_bind_error(worker, &session->reserved->key, EADDRINUSE).error);
    if (collides(session->peer.pid, worker, bound, false))
        return grant_answer(session, WIRE_FAILED, EADDRINUSE);
    worker->bind_error = 0;
    return grant_channel(session, bound, worker);
}

/* Second step: the worker has bound the path, or found that it is there. The kernel lets one bind
 * it only, so a socket that is bound says that nobody else's is to be found there any more. */
static bool claim_bound(struct session *session, struct worker *worker,
                        const struct wire_claim *claim, int fd)
{
    struct listener *listener = session->reserved;

    if (!listener || !claim_is_fit(fd, &listener->key))
        return refuse(fd);
    struct listener *bound = listener_find_path(&listener->path, false);
    if (!is_bound_to_path(fd, &listener->path) ||
        (bound && (claim_is_same_file(bound->canonical_fd, fd) || !may_displace(session, bound)))) {
        closer_close(fd);
        return share_path(session, worker, bound);
    }
    session_take_reserved(session);
    path_note_bound(&listener->path, claim->ino, session->watch.fd);
    if (bound)
        listener_displace(bound);
    if (listener_set_canonical(listener, fd) < 0) {
        listener_destroy(listener);
        return grant_answer(session, WIRE_FAILED, ENOMEM);
    }
    worker->bind_error = 0;
    grant_channel(session, listener, worker);
    session_retry_parked();
    return false;
}

bool claim_handle(struct session *session, const struct wire_claim *claim, int fd)
{
    if (session->state == SESSION_RESERVED && !(claim->flags & WIRE_CLAIM_BOUND))
        return refuse(fd);
    if (claim->flags & WIRE_CLAIM_REMOVE) /* nobody joins by this */
        return claim_may_ask(session, &claim->auth) ? claim_folder(session, NULL, claim, fd)
                                                    : refuse(fd);
    struct worker *worker = claim_identify(session, &claim->auth);

    if (!worker || stop_is_under_way()) {
        log_debug("pid %d, uid %u is no worker of this broker", (int)session->peer.pid,
                  (unsigned)session->peer.uid);
        return refuse(fd);
    }
    if (claim->flags & WIRE_CLAIM_FOLDER)
        return claim_folder(session, worker, claim, fd);
    if (claim->flags & WIRE_CLAIM_BOUND)
        return claim_bound(session, worker, claim, fd);
    return claim_name(session, worker, claim, fd);
}
