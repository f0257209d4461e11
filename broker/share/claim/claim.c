/* claim.c - identifies the asking process, and takes the steps of a claim: one for a name, two for
 * a socket file. */
#include "broker/share/claim/claim.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/un.h>

#include "broker/base/broker.h"
#include "broker/base/log.h"
#include "broker/life/stop.h"
#include "broker/pool/closer.h"
#include "broker/pool/listener.h"
#include "broker/share/adopt.h"
#include "broker/share/channel_messages.h"
#include "broker/share/claim/bind.h"
#include "broker/share/claim/collision.h"
#include "broker/share/claim/rights.h"
#include "broker/share/claim/sharing.h"
#include "broker/share/grant.h"
#include "broker/share/retire.h"

/* --- the asking process, and its request --- */

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
        worker = adopt_joiner(session->peer.pid, auth->token);
    if (worker)
        worker->has_asked = true;
    return worker;
}

/* A peer that violates the protocol, or is no worker. */
static bool refuse(int fd)
{
    closer_close(fd);
    return false;
}

/* What is parked is asked again in another turn. */
static void on_look_again(struct loop_timer *timer)
{
    (void)timer;
    session_retry_parked();
}

static void look_again(void)
{
    static struct loop_timer timer = {.on_time = on_look_again};

    loop_ensure_timer(&timer, 1); /* what else has come is done in between */
}

static bool claim_name(struct session *session, struct worker *worker,
                       const struct wire_claim *claim, int fd)
{
    struct address address;

    if (!address_from_wire(&address, &claim->address) || address_is_path(&address))
        return refuse(fd);
    const struct bind_how how = {
        .asker = &session->peer,
        .reuseport = claim->flags & WIRE_CLAIM_REUSEPORT,
        .may_settle = session_may_settle(session, worker->slot),
    };
    struct bind_verdict verdict = bind_name(worker, &how, &address, fd);
    if (verdict.looks)
        look_again();
    if (verdict.settles || verdict.looks) {
        session_park(session, worker->slot, WIRE_CLAIM, claim, fd);
        return true;
    }
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
    bool settles = false;

    if (open_path(&path, &address, claim, fd) < 0) {
        int error = errno;
        closer_close(fd);
        return grant_answer(session, WIRE_FAILED, error);
    }
    if (worker) { /* what it has closed before is no more, or the claim waits until it is */
        channel_messages_read_waiting(worker);
        settles = session_may_settle(session, slot) && !closer_is_settled();
        listener_retire_now(NULL);
    }
    struct listener *bound = listener_find_path(&path, false);
    bool many = session_count_claims(slot) >= SESSION_CLAIMS_MAX ||
                (worker && !bound && !rights_has_room(session->peer.uid, worker));
    session->claim_slot = slot;
    if (settles || (!many && (listener_find_path(&path, true) || path_is_being_removed(&path)))) {
        session_park(session, slot, WIRE_CLAIM, claim, fd);
        return true;
    }
    bool private =
        worker && !bound && !sharing_covers(worker, session->peer.pid, &address, &no_key);
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

/* The worker that bound a path may bind it again, and root may, but no other worker. */
static bool may_displace(const struct session *session, const struct listener *bound)
{
    return session->peer.uid == 0 || session->peer.uid == bound->path.owner.uid;
}

/* The path existed already: shared with the copy that has bound it, or not ours at all. The name
 * stays reserved while the claim waits. */
static bool share_path(struct session *session, struct worker *worker,
                       const struct wire_claim *claim, struct listener *bound, int fd)
{
    enum socket_look look =
        bound ? collision_look(session->peer.pid, worker, bound, false) : SOCKET_LOOK_FREE;

    if (look == SOCKET_LOOK_UNSEEN && session_may_settle(session, worker->slot)) {
        look_again();
        session_park(session, worker->slot, WIRE_CLAIM, claim, fd);
        return true;
    }
    closer_close(fd);
    if (!bound)
        return grant_answer(session, WIRE_FAILED,
                            bind_note_error(worker, &session->reserved->key, EADDRINUSE).error);
    if (look != SOCKET_LOOK_FREE)
        return grant_answer(session, WIRE_FAILED, EADDRINUSE);
    worker->bind_error = 0;
    return grant_channel(session, bound, worker);
}

/* Second step: the worker has bound the path, or found that it exists. The kernel lets only one
 * socket bind a path, so a bound socket proves that no other one is there. */
static bool claim_bound(struct session *session, struct worker *worker,
                        const struct wire_claim *claim, int fd)
{
    struct listener *listener = session->reserved;

    if (!listener || !socket_key_is_fit(fd, listener->key.storage.ss_family))
        return refuse(fd);
    struct listener *bound = listener_find_path(&listener->path, false);
    if (!is_bound_to_path(fd, &listener->path) ||
        (bound && (bind_is_same_file(bound->canonical_fd, fd) || !may_displace(session, bound))))
        return share_path(session, worker, claim, bound, fd);
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

/* Without --share all a process's port 0 is its own, and is no reason to join. */
static bool is_own_port(const struct wire_claim *claim)
{
    struct address address;

    return claim->auth.slot == WIRE_SLOT_NONE && !broker.config.share_all &&
           address_from_wire(&address, &claim->address) && address_has_port_zero(&address);
}

bool claim_handle(struct session *session, const struct wire_claim *claim, int fd)
{
    if (session->state == SESSION_RESERVED && !(claim->flags & WIRE_CLAIM_BOUND))
        return refuse(fd);
    if (claim->flags & WIRE_CLAIM_REMOVE) /* no process joins by this */
        return claim_may_ask(session, &claim->auth) ? claim_folder(session, NULL, claim, fd)
                                                    : refuse(fd);
    if (is_own_port(claim) && claim_may_ask(session, &claim->auth)) {
        closer_close(fd);
        return grant_answer(session, WIRE_PRIVATE, 0);
    }
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
