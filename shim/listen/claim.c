/*
 * claim.c - from bind() to listen(): asks the broker for an address and puts the channel over the
 * program's socket.
 *
 * The swap is made at bind(), not at listen(): from then on the kernel object behind the fd says
 * what it is, so a server that execs, forks or passes the fd on between the two calls keeps
 * working.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "shim/base/env.h"
#include "shim/base/fdmap.h"
#include "shim/base/next.h"
#include "shim/listen/claim.h"
#include "shim/listen/close.h"
#include "shim/listen/dress.h"
#include "shim/listen/guard.h"
#include "shim/listen/shareable.h"
#include "shim/record/vlisten.h"
#include "shim/take/epoll_set.h"

#define UNANSWERED_TRIES 20
#define UNANSWERED_PAUSE_MS 50
#define JOIN_WAIT_S 5
#define REFUSED_TRIES 4
#define PORT_ZERO_ANSWER_MS 1000 /* after that it is the process's own */
#define JOIN_TRIES (JOIN_WAIT_S * 1000 / UNANSWERED_PAUSE_MS)

/*
 * Puts the channel of the grant (borrows it) in the place of fd and all its dups, for a record that
 * was just made of the grant. False, with the errno of dup3(2): the record is gone again.
 */
static bool place_channel(struct vlisten *listener, int fd, int status_flags,
                          struct link_grant *grant)
{
    /* It is hidden by now, and may be the same file as the program's socket: retarget would take it
     * for a dup that the program has made. */
    NEXT(close)(grant->shadow_fd);
    grant->shadow_fd = -1;
    dress_channel(grant->channel_fd, fd, status_flags);
    int count = epoll_set_retarget(fd, grant->channel_fd, FDMAP_LISTENER, vlisten_index(listener));
    if (count < 0) {
        close_listener_fd(listener, grant->channel_fd);
        return false;
    }
    atomic_store(&listener->refs, count);
    atomic_store(&listener->fd, fd);
    vlisten_set_nonblock(listener, status_flags & O_NONBLOCK);
    return true;
}

enum claim_result claim_install(int fd, int status_flags, struct link_grant *grant)
{
    struct vlisten *listener = vlisten_create(grant);

    if (!listener) {
        link_grant_refuse(grant, grant->channel_fd);
    } else {
        atomic_store(&listener->own_fd, vlisten_hide_fd(fd, vlisten_index(listener)));
        if (place_channel(listener, fd, status_flags, grant))
            return CLAIM_DONE;
    }
    errno = ENOMEM;
    return CLAIM_FAILED;
}

static void init_claim(struct wire_claim *claim, const void *addr, size_t len, uint32_t flags)
{
    memset(claim, 0, sizeof *claim);
    claim->head = WIRE_HEAD(WIRE_CLAIM);
    claim->auth = env.auth;
    claim->address.len_bytes = (uint32_t)len;
    memcpy(claim->address.bytes, addr, len);
    claim->flags = flags;
}

/* A verdict that is not WIRE_SHARED, or WIRE_SHARED. Consumes the grant. */
static enum claim_result obey(int fd, int status_flags, struct link_grant *grant)
{
    enum claim_result result = CLAIM_FAILED;

    switch (grant->verdict) {
    case WIRE_SHARED: result = claim_install(fd, status_flags, grant); break;
    case WIRE_PRIVATE: result = CLAIM_NATIVE; break;
    default: errno = grant->error > 0 ? grant->error : EADDRINUSE; break;
    }
    link_grant_finish(grant);
    return result;
}

static enum claim_result claim_name(int link_fd, int fd, const struct sockaddr_storage *addr,
                                    socklen_t len)
{
    struct wire_claim claim;
    struct link_grant grant;
    int status_flags = NEXT(fcntl)(fd, F_GETFL);
    bool reuse = addr->ss_family != AF_UNIX && shareable_option(fd, SO_REUSEPORT) == 1;

    init_claim(&claim, addr, len, reuse ? WIRE_CLAIM_REUSEPORT : 0);
    if (link_ask(link_fd, &claim, sizeof claim, fd, &grant) < 0)
        return CLAIM_UNANSWERED;
    return obey(fd, status_flags, &grant);
}

/*
 * A path: the first copy binds it itself (its folder, chroot, umask), and passes the bound socket
 * on; meanwhile the broker keeps the others waiting. The kernel says whether it is there: only a
 * path that is in use can be one that another copy has bound.
 */
static enum claim_result claim_path(int link_fd, int fd, const struct sockaddr_un *addr,
                                    socklen_t len)
{
    char path[sizeof addr->sun_path + 1] = {0};
    struct wire_claim claim;
    struct link_grant grant;
    int status_flags = NEXT(fcntl)(fd, F_GETFL);

    memcpy(path, addr->sun_path, len - offsetof(struct sockaddr_un, sun_path));
    int folder_fd = guard_claim(&claim, AT_FDCWD, path, WIRE_CLAIM_FOLDER);
    if (folder_fd < 0)
        return CLAIM_NATIVE;
    int asked = link_ask(link_fd, &claim, sizeof claim, folder_fd, &grant);
    NEXT(close)(folder_fd);
    if (asked < 0)
        return CLAIM_UNANSWERED;
    if (grant.verdict != WIRE_VACANT)
        return obey(fd, status_flags, &grant);
    if (NEXT(bind)(fd, (const struct sockaddr *)addr, len) < 0 && errno != EADDRINUSE)
        return CLAIM_FAILED;
    claim.flags = WIRE_CLAIM_BOUND;
    claim.ino = guard_inode(AT_FDCWD, path);
    if (link_ask(link_fd, &claim, sizeof claim, fd, &grant) < 0)
        return CLAIM_UNANSWERED;
    enum claim_result result = obey(fd, status_flags, &grant);
    if (result == CLAIM_DONE && !board_has_flag(vlisten_known(fd)->board, BOARD_EXACT))
        guard_add(path);
    return result;
}

static bool joins(void)
{
    return env.auth.slot == WIRE_SLOT_NONE;
}

/* Only the broker knows whether a joiner's port 0 is shared. A client of that kind needs none. */
static bool needs_no_broker(const struct sockaddr_storage *addr)
{
    /* the port is in the same place for both */
    return joins() && addr->ss_family != AF_UNIX &&
           ((const struct sockaddr_in *)addr)->sin_port == 0;
}

static enum claim_result claim_once(int fd, const struct sockaddr_storage *addr, socklen_t len)
{
    const struct sockaddr_un *path = (const struct sockaddr_un *)addr;
    int link_fd = needs_no_broker(addr) ? link_open_within(PORT_ZERO_ANSWER_MS) : link_open();

    if (link_fd < 0)
        return CLAIM_UNANSWERED;
    enum claim_result result = addr->ss_family == AF_UNIX && path->sun_path[0]
                                   ? claim_path(link_fd, fd, path, len)
                                   : claim_name(link_fd, fd, addr, len);
    int saved = errno;
    NEXT(close)(link_fd);
    errno = saved;
    return result;
}

/* The broker that started this worker may be in an upgrade or a take-over; the one to join may just
 * be starting, or ending if it is not refusing us: give it a moment. */
static bool is_worth_another_try(int try)
{
    bool is_absent = errno == ECONNREFUSED || errno == ENOENT;
    bool has_hung_up = errno == ECONNRESET || errno == EPIPE;
    int tries = 0;

    if (joins())
        tries = is_absent ? JOIN_TRIES : has_hung_up ? REFUSED_TRIES : 0;
    else if (errno == ECONNREFUSED || has_hung_up)
        tries = UNANSWERED_TRIES;
    if (try >= tries)
        return false;
    NEXT(poll)(NULL, 0, UNANSWERED_PAUSE_MS);
    return true;
}

/* No broker has answered. */
static enum claim_result give_up(bool is_late, int tries)
{
    if (is_late) {
        errno = EADDRINUSE; /* as the kernel said */
        return CLAIM_FAILED;
    }
    link_complain(errno, joins() && tries >= JOIN_TRIES ? JOIN_WAIT_S : 0);
    errno = EADDRNOTAVAIL;
    return CLAIM_FAILED;
}

/*
 * If a server opens its listeners one after the other, a copy may get a connection in between. Its
 * later listeners are private by the rule, but the other copies share them: the kernel says that
 * the address is in use, and only then the library asks the broker.
 */
enum claim_result claim_bind(int fd, const struct sockaddr *addr, socklen_t len)
{
    struct sockaddr_storage copy;
    enum claim_result result;
    bool is_late = false;
    int try = 0;

    len = shareable_address(fd, addr, len, &copy, &is_late);
    if (len == 0)
        return CLAIM_NATIVE;
    if (is_late && NEXT(bind)(fd, (const struct sockaddr *)&copy, len) == 0)
        return CLAIM_DONE;
    if (is_late && errno != EADDRINUSE)
        return CLAIM_FAILED;
    if (vlisten_is_full()) {
        static_assert(VLISTEN_MAX == 256, "the message says so");
        link_complain_full();
        return CLAIM_NATIVE;
    }
    do
        result = claim_once(fd, &copy, len);
    while (result == CLAIM_UNANSWERED && !is_late && !needs_no_broker(&copy) &&
           is_worth_another_try(++try));
    if (needs_no_broker(&copy) && (result == CLAIM_UNANSWERED || result == CLAIM_NATIVE)) {
        atomic_store_explicit(&env.share_all, false, memory_order_relaxed); /* do not ask again */
        return CLAIM_NATIVE;
    }
    if (result == CLAIM_DONE) {
        shareable_remember(vlisten_known(fd), &copy, len);
        vlisten_note_bound();
    }
    return result == CLAIM_UNANSWERED ? give_up(is_late, try) : result;
}

static int bind_as_shadow(int own_fd, int shadow_fd)
{
    struct sockaddr_storage addr;
    socklen_t len = sizeof addr;
    struct sockaddr_storage own;
    socklen_t own_len = sizeof own;

    if (NEXT(getsockname)(shadow_fd, (struct sockaddr *)&addr, &len) < 0 ||
        NEXT(getsockname)(own_fd, (struct sockaddr *)&own, &own_len) < 0)
        return -1;
    if (own_len == len && memcmp(&own, &addr, len) == 0)
        return 0; /* the first claimant's own socket is the canonical one */
    return NEXT(bind)(own_fd, (struct sockaddr *)&addr, len);
}

int claim_abandon(struct vlisten *listener, int fd)
{
    int own_fd = atomic_load(&listener->own_fd);

    if (own_fd < 0 || bind_as_shadow(own_fd, atomic_load(&listener->shadow_fd)) < 0)
        return -1;
    NEXT(fcntl)(own_fd, F_SETFL, NEXT(fcntl)(fd, F_GETFL) & (O_NONBLOCK | O_ASYNC));
    atomic_store(&listener->board->worker.holders, 0);
    vlisten_tell_closed(listener);
    if (epoll_set_retarget(fd, own_fd, FDMAP_FOREIGN, 0) < 0)
        return -1;
    close_release(listener);
    return 0;
}
