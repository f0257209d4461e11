/* hooks_socket.c - the exported socket calls. Each asks whether the fd is a shared listener, and
 * passes on what is not. */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

#include "shim/accept/accept.h"
#include "shim/base/env.h"
#include "shim/base/fdmap.h"
#include "shim/base/fdroom.h"
#include "shim/base/next.h"
#include "shim/base/userptr.h"
#include "shim/listen/claim.h"
#include "shim/listen/listen.h"
#include "shim/listen/look.h"
#include "shim/listen/recognise.h"
#include "shim/listen/shareable.h"
#include "shim/record/proxied.h"
#include "shim/record/vlisten.h"
#include "shim/take/announce.h"

static struct vlisten *find(int fd)
{
    return env_managed() ? recognise_fd(fd) : NULL;
}

/* The fd on which calls about the listening socket itself act. */
static int real_fd(int fd)
{
    struct vlisten *listener = find(fd);
    return listener ? vlisten_real_fd(listener, fd) : fdmap_shown(fd);
}

/* A socket made natively in a managed process is noted as not shared. */
static int note_native(int fd)
{
    if (fd >= 0 && env_managed()) {
        fdmap_set(fd, FDMAP_FOREIGN, FDMAP_NATIVE);
        fdroom_note(fd);
    }
    return fd;
}

/* A connection, whose close is to be counted. If the table is nearly full, other workers get
 * the next one. */
static int note_shared(struct vlisten *listener, int conn_fd)
{
    if (conn_fd < 0)
        return conn_fd;
    fdmap_set(conn_fd, FDMAP_CONN, vlisten_index(listener));
    board_set_worker_flag(listener->board, BOARD_FDS_LOW, fdroom_note(conn_fd));
    if (listener->accepts & ~atomic_load_explicit(&vlisten_accepts, memory_order_relaxed))
        vlisten_note_first_accept(listener->accepts);
    return conn_fd;
}

SSHIM_EXPORT int socket(int domain, int type, int protocol)
{
    int fd = NEXT(socket)(domain, type, protocol);

    return note_native(fd);
}

/* What no copy shares another copy may have. */
static int bind_natively(int fd, const struct sockaddr *addr, socklen_t len)
{
    int result = NEXT(bind)(fd, addr, len);
    const char *kind = result < 0 && errno == EADDRINUSE ? shareable_foreign_kind(fd) : NULL;

    if (kind)
        link_complain_kind(kind);
    return result;
}

SSHIM_EXPORT int bind(int fd, const struct sockaddr *addr, socklen_t len)
{
    if (!env_managed())
        return NEXT(bind)(fd, addr, len);
    int saved = errno;
    fd = fdmap_shown(fd);
    int target_fd = real_fd(fd);
    if (target_fd == fd) {
        enum claim_result result = claim_bind(fd, addr, len);
        if (result == CLAIM_FAILED)
            return -1;
        errno = saved;
        if (result == CLAIM_DONE)
            return 0;
    }
    return bind_natively(target_fd, addr, len);
}

SSHIM_EXPORT int listen(int fd, int backlog)
{
    int saved = errno;
    struct vlisten *listener = find(fd);

    if (!listener)
        return NEXT(listen)(fdmap_shown(fd), backlog);
    int result = listen_begin(listener, fd, backlog);
    if (result == 0)
        errno = saved;
    return result;
}

/* accept() on a channel that the table does not know gives EINVAL: look again before believing it.
 */
static struct vlisten *find_after_failure(int fd)
{
    return env_managed() && errno == EINVAL ? recognise_again(fd) : NULL;
}

/* As find; the first listener that this process knows may have been waited for before, see
 * announce.h. */
static struct vlisten *find_to_accept(int fd, struct vlisten *(*find_it)(int))
{
    bool is_first = !atomic_load_explicit(&vlisten_any, memory_order_relaxed);
    struct vlisten *listener = find_it(fd);

    if (is_first && listener)
        announce_by_unseen(listener, fd);
    return listener;
}

SSHIM_EXPORT int accept4(int fd, struct sockaddr *restrict addr, socklen_t *restrict len, int flags)
{
    struct vlisten *listener = vlisten_known(fd);

    if (!listener && !(listener = find_to_accept(fd, find))) {
        int conn_fd = NEXT(accept4)(fdmap_shown(fd), addr, len, flags);
        if (conn_fd >= 0 || !(listener = find_to_accept(fd, find_after_failure)))
            return note_native(conn_fd);
    }
    return note_shared(listener, accept_connection(listener, fd, addr, len, flags));
}

SSHIM_EXPORT int accept(int fd, struct sockaddr *restrict addr, socklen_t *restrict len)
{
    struct vlisten *listener = vlisten_known(fd);

    if (!listener && !(listener = find_to_accept(fd, find))) {
        int conn_fd = NEXT(accept)(fdmap_shown(fd), addr, len);
        if (conn_fd >= 0 || !(listener = find_to_accept(fd, find_after_failure)))
            return note_native(conn_fd);
    }
    return note_shared(listener, accept_connection(listener, fd, addr, len, 0));
}

/* connect() to no address ends a TCP listener, as shutdown() does. */
static bool is_disconnect(int listening_fd, const struct sockaddr *addr, socklen_t len)
{
    return len >= sizeof addr->sa_family && len <= sizeof(struct sockaddr_storage) &&
           userptr_is_readable(addr, len, USERPTR_OTHER) && addr->sa_family == AF_UNSPEC &&
           shareable_option(listening_fd, SO_DOMAIN) != AF_UNIX;
}

static int connect_listener(struct vlisten *listener, int fd, const struct sockaddr *addr,
                            socklen_t len)
{
    int listening_fd = vlisten_real_fd(listener, fd);

    if (is_disconnect(listening_fd, addr, len))
        return vlisten_listens(listener) ? listen_shutdown(listener, fd, SHUT_RDWR) : 0;
    return NEXT(connect)(listening_fd, addr, len); /* the kernel knows which error that is */
}

SSHIM_EXPORT int connect(int fd, const struct sockaddr *addr, socklen_t len)
{
    int saved = errno;
    struct vlisten *listener = find(fd);

    fd = fdmap_shown(fd);
    if (!listener)
        return env_managed() ? look_connect(fd, addr, len) : NEXT(connect)(fd, addr, len);
    if (atomic_load(&listener->own_fd) < 0)
        return connect_listener(listener, fd, addr, len);
    if (claim_abandon(listener, fd) < 0)
        return -1;
    errno = saved;
    return NEXT(connect)(fd, addr, len);
}

SSHIM_EXPORT int shutdown(int fd, int how)
{
    struct vlisten *listener = find(fd);

    if (!listener || (how != SHUT_RD && how != SHUT_RDWR && how != SHUT_WR))
        return NEXT(shutdown)(fdmap_shown(fd), how);
    return listen_shutdown(listener, fd, how);
}

SSHIM_EXPORT int getsockname(int fd, struct sockaddr *restrict addr, socklen_t *restrict len)
{
    int target_fd = real_fd(fd);

    if ((proxied_is_used() && target_fd == fd) || env.port_count > 0)
        return proxied_getsockname(NEXT(getsockname), target_fd, addr, len);
    return NEXT(getsockname)(target_fd, addr, len);
}

SSHIM_EXPORT int getpeername(int fd, struct sockaddr *restrict addr, socklen_t *restrict len)
{
    int target_fd = real_fd(fd);

    if (proxied_is_used() && target_fd == fd)
        return proxied_getpeername(NEXT(getpeername), fd, addr, len);
    return NEXT(getpeername)(target_fd, addr, len);
}

/*
 * The only call on the path of data that is hooked, for one look into the table: programs ask a
 * socket by it whether it is connected, and from a channel it would take a connection. CPython's
 * ssl does so with each listener that it wraps.
 */
SSHIM_EXPORT ssize_t recv(int fd, void *buffer, size_t len, int flags)
{
    struct fdmap_entry entry = fdmap_get(fd);

    if (__builtin_expect(entry.kind == FDMAP_LISTENER, 0))
        fd = vlisten_real_fd(&vlisten_table[entry.index], fd);
    if (__builtin_expect(entry.kind == FDMAP_HIDDEN, 0))
        fd = -1;
    return NEXT(recv)(fd, buffer, len, flags);
}

/* asm-generic/socket.h; where time_t has 64 bits both forms mean the same */
#ifndef SO_RCVTIMEO_NEW
#define SO_RCVTIMEO_NEW 66
#define SO_SNDTIMEO_NEW 67
#endif

/* Time-outs belong to waiting, which happens on the channel; connections inherit them from the
 * canonical socket. */
static bool is_timeout(int level, int name)
{
    return level == SOL_SOCKET && (name == SO_RCVTIMEO || name == SO_SNDTIMEO ||
                                   name == SO_RCVTIMEO_NEW || name == SO_SNDTIMEO_NEW);
}

static bool is_channel_option(int level, int name)
{
    return is_timeout(level, name) || (level == SOL_SOCKET && name == SO_ERROR);
}

SSHIM_EXPORT int getsockopt(int fd, int level, int name, void *restrict value,
                            socklen_t *restrict len)
{
    struct vlisten *listener = find(fd);

    if (!listener || is_channel_option(level, name))
        return NEXT(getsockopt)(fdmap_shown(fd), level, name, value, len);
    int result = NEXT(getsockopt)(vlisten_real_fd(listener, fd), level, name, value, len);
    if (result == 0 && level == SOL_SOCKET && name == SO_ACCEPTCONN && *len == sizeof(int) &&
        !vlisten_listens(listener))
        *(int *)value = 0;
    return result;
}

SSHIM_EXPORT int setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
    struct vlisten *listener = find(fd);

    if (!listener)
        return NEXT(setsockopt)(fdmap_shown(fd), level, name, value, len);
    if (is_timeout(level, name) && NEXT(setsockopt)(fd, level, name, value, len) < 0)
        return -1;
    return NEXT(setsockopt)(vlisten_real_fd(listener, fd), level, name, value, len);
}
