/* shareable.c - what may be shared at all; decides without asking the broker. */
#include "shim/listen/shareable.h"

#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "shim/base/env.h"
#include "shim/base/next.h"
#include "shim/record/vlisten.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

/* The program's address may be any pointer: have the kernel copy it, so that a bad one is its
 * EFAULT to give. */
static bool copy_address(struct sockaddr_storage *copy, const struct sockaddr *addr, socklen_t len)
{
    int saved = errno;

    memset(copy, 0, sizeof *copy);
    if (!addr || len < sizeof(sa_family_t) || len > sizeof *copy)
        return false;
    struct iovec to = {copy, len};
    struct iovec from = {(void *)(uintptr_t)addr, len};
    long got = NEXT(syscall)(SYS_process_vm_readv, (long)getpid(), &to, 1L, &from, 1L, 0L);
    if (got < 0 && (errno == ENOSYS || errno == EPERM)) {
        memcpy(copy, addr, len);
        got = (long)len;
    }
    errno = saved;
    return got == (long)len;
}

int shareable_option(int fd, int option)
{
    int value = -1;
    socklen_t len = sizeof value;
    int saved = errno;

    if (NEXT(getsockopt)(fd, SOL_SOCKET, option, &value, &len) < 0)
        value = -1;
    errno = saved;
    return value;
}

static bool has_shared_port(in_port_t port)
{
    return port != 0 || atomic_load_explicit(&env.share_all, memory_order_relaxed);
}

static bool is_shareable_address(const struct sockaddr_storage *addr, socklen_t len)
{
    switch (addr->ss_family) {
    case AF_INET:
        return len >= sizeof(struct sockaddr_in) &&
               has_shared_port(((const struct sockaddr_in *)addr)->sin_port);
    case AF_INET6: /* without the scope id of RFC 2553 it is 24 bytes */
        return len >= offsetof(struct sockaddr_in6, sin6_scope_id) &&
               has_shared_port(((const struct sockaddr_in6 *)addr)->sin6_port);
    case AF_UNIX:
        return len > offsetof(struct sockaddr_un, sun_path) && len <= sizeof(struct sockaddr_un);
    default: return false;
    }
}

bool shareable_is_connected_type(int fd, sa_family_t family)
{
    int type = shareable_option(fd, SO_TYPE);

    return (type == SOCK_STREAM || (type == SOCK_SEQPACKET && family == AF_UNIX)) &&
           shareable_option(fd, SO_DOMAIN) == family;
}

static bool is_shareable_socket(int fd, sa_family_t family)
{
    if (!shareable_is_connected_type(fd, family))
        return false;
    int protocol = shareable_option(fd, SO_PROTOCOL);
    return family == AF_UNIX || protocol == IPPROTO_TCP || protocol == IPPROTO_MPTCP;
}

const char *shareable_foreign_kind(int fd)
{
    int type = shareable_option(fd, SO_TYPE);
    int family = shareable_option(fd, SO_DOMAIN);

    if ((type != SOCK_STREAM && type != SOCK_SEQPACKET) || family < 0 ||
        is_shareable_socket(fd, (sa_family_t)family))
        return NULL;
    switch (family) {
    case AF_VSOCK: return "AF_VSOCK";
    case AF_TIPC: return "AF_TIPC";
    case AF_INET:
    case AF_INET6: return shareable_option(fd, SO_PROTOCOL) == IPPROTO_SCTP ? "SCTP" : "this kind";
    default: return "this kind";
    }
}

/* FNV-1a; never 0. */
static uint64_t hash_address(const void *addr, size_t len)
{
    const uint8_t *bytes = addr;
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    for (size_t i = 0; i < len; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    return hash | 1;
}

/*
 * A listener that is bound after the first accept is private (FTP's data ports), unless --share
 * says otherwise, this program has had the address before, the process that has bound the first one
 * has only just begun to accept, or all its processes have closed all their listeners: then it
 * begins anew. Asks no other process: it may be in a sandbox by now.
 */
static bool is_too_late(const struct sockaddr_storage *addr, socklen_t len)
{
    uint64_t hash = hash_address(addr, len);
    bool has_any = false;

    unsigned says_late = addr->ss_family == AF_UNIX ? VLISTEN_ACCEPTED : VLISTEN_ACCEPTED_AT_PORT;

    if (!vlisten_has_accepted(says_late) || vlisten_begins())
        return false;
    for (unsigned i = 0; i < VLISTEN_MAX; i++) {
        /* of a listener that is closed by now, too: the page stays mapped */
        struct board *board = vlisten_table[i].board;
        if (vlisten_table[i].address_hash == hash ||
            (board && board_has_flag(board, BOARD_SHARE_LATE)))
            return false;
        has_any |= board && atomic_load(&board->worker.holders) > 0;
    }
    return has_any;
}

/* The kernel refuses a second bind of one socket, and one that is connected is no listener. */
static bool is_in_use(int fd)
{
    struct sockaddr_storage name = {0};
    socklen_t len = sizeof name;

    if (NEXT(getpeername)(fd, (struct sockaddr *)&name, &len) == 0)
        return true;
    len = sizeof name;
    if (NEXT(getsockname)(fd, (struct sockaddr *)&name, &len) < 0)
        return false;
    if (name.ss_family == AF_UNIX)
        return len > sizeof(sa_family_t);
    /* the port is in the same place for both */
    return ((const struct sockaddr_in *)&name)->sin_port != 0;
}

/* Programs pass the size of whatever holds the address. */
static socklen_t used_length(const struct sockaddr_storage *addr, socklen_t len)
{
    if (addr->ss_family == AF_INET && len > sizeof(struct sockaddr_in))
        return sizeof(struct sockaddr_in);
    if (addr->ss_family == AF_INET6 && len > sizeof(struct sockaddr_in6))
        return sizeof(struct sockaddr_in6);
    return len;
}

/* inet_bind(): to an IPv4 socket no family and the address 0.0.0.0 mean AF_INET. */
static void adopt_family(int fd, struct sockaddr_storage *addr, socklen_t len)
{
    if (addr->ss_family == AF_UNSPEC && len >= sizeof(struct sockaddr_in) &&
        ((const struct sockaddr_in *)addr)->sin_addr.s_addr == htonl(INADDR_ANY) &&
        shareable_option(fd, SO_DOMAIN) == AF_INET)
        addr->ss_family = AF_INET;
}

socklen_t shareable_address(int fd, const struct sockaddr *addr, socklen_t len,
                            struct sockaddr_storage *copy, bool *is_late)
{
    if (!copy_address(copy, addr, len))
        return 0;
    adopt_family(fd, copy, len);
    len = used_length(copy, len);
    if (!is_shareable_address(copy, len) || !is_shareable_socket(fd, copy->ss_family) ||
        is_in_use(fd))
        return 0;
    *is_late = is_too_late(copy, len);
    return len;
}

void shareable_remember(struct vlisten *listener, const struct sockaddr_storage *addr,
                        socklen_t len)
{
    listener->address_hash = hash_address(addr, len);
}
