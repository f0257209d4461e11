/* look.c - see look.h. Finds connect() calls that may test an address; the broker decides. */
#include "shim/listen/look.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/time.h>
#include <sys/un.h>

#include "shim/base/broker_rpc.h"
#include "shim/base/env.h"
#include "shim/base/next.h"
#include "shim/base/userptr.h"
#include "shim/listen/dress.h"
#include "shim/listen/guard.h"
#include "shim/listen/shareable.h"
#include "shim/record/vlisten.h"
#include "shim/take/epoll_set.h"

#define ANSWER_MS 1000
/* A server looks a few times; a program that never listens and goes on connecting is a client. */
#define LOOKS_MAX 64

static _Atomic unsigned looks;

static bool is_local_v4(in_addr_t host)
{
    return (ntohl(host) >> 24) == IN_LOOPBACKNET || host == htonl(INADDR_ANY);
}

static bool is_local_v6(const struct in6_addr *host)
{
    in_addr_t mapped;

    memcpy(&mapped, &host->s6_addr[12], sizeof mapped);
    return IN6_IS_ADDR_LOOPBACK(host) || IN6_IS_ADDR_UNSPECIFIED(host) ||
           (IN6_IS_ADDR_V4MAPPED(host) && is_local_v4(mapped));
}

static bool is_local(const struct sockaddr_storage *addr, socklen_t len)
{
    switch (addr->ss_family) {
    case AF_INET:
        return len >= sizeof(struct sockaddr_in) &&
               is_local_v4(((const struct sockaddr_in *)addr)->sin_addr.s_addr);
    case AF_INET6:
        return len >= offsetof(struct sockaddr_in6, sin6_scope_id) &&
               is_local_v6(&((const struct sockaddr_in6 *)addr)->sin6_addr);
    case AF_UNIX:
        return len > offsetof(struct sockaddr_un, sun_path) && len <= sizeof(struct sockaddr_un);
    default: return false;
    }
}

/* Whether this may be a look before a bind; the address is copied. A bad pointer is the kernel's to
 * judge. */
static bool may_be_look(int fd, const struct sockaddr *addr, socklen_t len,
                        struct sockaddr_storage *copy)
{
    if (len < sizeof(sa_family_t) || len > sizeof *copy ||
        !userptr_is_readable(addr, len, USERPTR_OTHER))
        return false;
    memset(copy, 0, sizeof *copy);
    memcpy(copy, addr, len);
    return is_local(copy, len) && shareable_is_connected_type(fd, copy->ss_family);
}

static bool ask(const struct wire_claim *claim, int fd)
{
    struct link_grant grant;

    if (link_ask_once(ANSWER_MS, claim, sizeof *claim, fd, &grant) < 0)
        return false;
    link_grant_finish(&grant);
    return grant.verdict == WIRE_FAILED && grant.error == ECONNREFUSED;
}

static bool ask_about_name(int fd, const struct sockaddr_storage *addr, socklen_t len)
{
    struct wire_claim claim = {
        .head = WIRE_HEAD(WIRE_CLAIM), .auth = env.auth, .flags = WIRE_CLAIM_LOOK};

    claim.address.len_bytes = len < WIRE_ADDRESS_MAX ? len : WIRE_ADDRESS_MAX;
    memcpy(claim.address.bytes, addr, claim.address.len_bytes);
    return ask(&claim, fd);
}

static bool ask_about_path(const struct sockaddr_un *addr, socklen_t len)
{
    char path[sizeof addr->sun_path + 1] = {0};
    struct wire_claim claim;

    memcpy(path, addr->sun_path, len - offsetof(struct sockaddr_un, sun_path));
    uint64_t ino = guard_inode(AT_FDCWD, path);
    int folder_fd = ino ? guard_claim(&claim, AT_FDCWD, path, WIRE_CLAIM_LOOK) : -1;
    if (folder_fd < 0)
        return false;
    claim.ino = ino;
    bool refused = ask(&claim, folder_fd);
    NEXT(close)(folder_fd);
    return refused;
}

static bool is_refused(int fd, const struct sockaddr_storage *addr, socklen_t len)
{
    const struct sockaddr_un *un = (const struct sockaddr_un *)addr;

    return addr->ss_family == AF_UNIX && un->sun_path[0] ? ask_about_path(un, len)
                                                         : ask_about_name(fd, addr, len);
}

static bool is_look(int fd, const struct sockaddr *addr, socklen_t len,
                    struct sockaddr_storage *copy)
{
    return env.auth.slot != WIRE_SLOT_NONE && !vlisten_has_accepted(VLISTEN_ACCEPTED) &&
           atomic_load(&looks) < LOOKS_MAX && may_be_look(fd, addr, len, copy) &&
           /* what follows a first listener are socket files: a second pool of php-fpm */
           (!atomic_load(&vlisten_any) || copy->ss_family == AF_UNIX);
}

static void copy_option(int from_fd, int to_fd, int name)
{
    char value[sizeof(struct timeval)];
    socklen_t len = sizeof value;

    if (NEXT(getsockopt)(from_fd, SOL_SOCKET, name, value, &len) == 0)
        NEXT(setsockopt)(to_fd, SOL_SOCKET, name, value, len);
}

/* A socket of AF_UNIX stays connected, so a new one takes its place; one that has a name is left.
 */
static bool replace_unix(int fd)
{
    struct sockaddr_un name;
    socklen_t len = sizeof name;

    if (NEXT(getsockname)(fd, (struct sockaddr *)&name, &len) < 0 || len > sizeof name.sun_family)
        return false;
    int new_fd = NEXT(socket)(AF_UNIX, shareable_option(fd, SO_TYPE) | SOCK_CLOEXEC, 0);
    if (new_fd < 0)
        return false;
    copy_option(fd, new_fd, SO_PASSCRED);
    copy_option(fd, new_fd, SO_SNDTIMEO);
    dress_channel(new_fd, fd, NEXT(fcntl)(fd, F_GETFL));
    int count = epoll_set_retarget(fd, new_fd, FDMAP_FOREIGN, 0);
    NEXT(close)(new_fd);
    return count > 0;
}

/* connect(2): a connection to AF_UNSPEC dissolves that of TCP; the socket keeps its options. */
static bool disconnect(int fd, sa_family_t family)
{
    const struct sockaddr nobody = {.sa_family = AF_UNSPEC};

    if (family == AF_UNIX)
        return replace_unix(fd);
    if (NEXT(connect)(fd, &nobody, sizeof nobody) < 0)
        return false;
    (void)shareable_option(fd, SO_ERROR); /* our own reset */
    return true;
}

/* After connect(2): somebody listens, or the kernel has not said yet. */
static bool has_reached(int result)
{
    return result == 0 || errno == EINPROGRESS || errno == EINTR || errno == EAGAIN;
}

int look_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
    struct sockaddr_storage copy;
    int saved = errno;

    if (!is_look(fd, addr, len, &copy))
        return NEXT(connect)(fd, addr, len);
    atomic_fetch_add(&looks, 1);
    if (!is_refused(fd, &copy, len)) {
        errno = saved;
        int result = NEXT(connect)(fd, addr, len);
        int error = errno;
        bool was_early =
            has_reached(result) && is_refused(fd, &copy, len) && disconnect(fd, copy.ss_family);
        errno = error;
        if (!was_early)
            return result;
    }
    errno = ECONNREFUSED;
    return -1;
}
