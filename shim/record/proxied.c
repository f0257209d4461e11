/* proxied.c - see proxied.h. */
#include "shim/record/proxied.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "proto/proxied.h"
#include "shim/base/broker_rpc.h"
#include "shim/base/env.h"
#include "shim/base/fdmap.h"
#include "shim/base/next.h"
#include "shim/base/userptr.h"

#define ASK_DEADLINE_MS 2000

_Atomic uint32_t proxied_use;

/* Mapped once; fork(2) hands it down. */
static const struct proxied_table *_Atomic table;

void proxied_note_use(uint32_t flags)
{
    if (flags & ~atomic_load_explicit(&proxied_use, memory_order_relaxed))
        env_keep_proxied(atomic_fetch_or(&proxied_use, flags) | flags);
}

/* Two threads may both map it; the second mapping stays unused. */
static const struct proxied_table *find_table(void)
{
    const struct proxied_table *found = atomic_load(&table);
    struct stat info;

    if (found)
        return found;
    int fd = link_fetch_proxied(ASK_DEADLINE_MS);
    if (fd < 0)
        return NULL;
    if (fstat(fd, &info) == 0 && info.st_size == (off_t)PROXIED_SIZE) {
        void *memory = mmap(NULL, PROXIED_SIZE, PROT_READ, MAP_SHARED, fd, 0);
        if (memory != MAP_FAILED)
            atomic_store(&table, found = memory);
    }
    NEXT(close)(fd);
    return found;
}

void proxied_prepare(void)
{
    if (atomic_load_explicit(&proxied_use, memory_order_relaxed) & WIRE_GRANT_PROXIED)
        find_table();
}

static void set_ipv4(struct sockaddr_storage *address, socklen_t *len, uint16_t port,
                     const void *host)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = port};

    memcpy(&in.sin_addr, host, sizeof in.sin_addr);
    memcpy(address, &in, sizeof in);
    *len = sizeof in;
}

static void set_ipv6(struct sockaddr_storage *address, socklen_t *len, uint16_t port,
                     const void *host)
{
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = port};

    memcpy(&in6.sin6_addr, host, sizeof in6.sin6_addr);
    memcpy(address, &in6, sizeof in6);
    *len = sizeof in6;
}

/* The broker has noted the end in the family of the socket. */
static void replace(const struct proxied_end *end, struct sockaddr_storage *address, socklen_t *len)
{
    if (end->family == AF_INET6)
        set_ipv6(address, len, end->port, end->host);
    else
        set_ipv4(address, len, end->port, end->host);
}

static void look_up(int fd, bool is_peer, struct sockaddr_storage *address, socklen_t *len)
{
    struct proxied_end client, destination;
    uint64_t cookie;
    socklen_t cookie_len = sizeof cookie;
    const struct proxied_table *found = find_table();

    if (found && NEXT(getsockopt)(fd, SOL_SOCKET, SO_COOKIE, &cookie, &cookie_len) == 0 &&
        proxied_find(found, cookie, &client, &destination))
        replace(is_peer ? &client : &destination, address, len);
}

static void unmap(struct sockaddr_storage *address, socklen_t *len)
{
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)address;
    struct sockaddr_in6 copy = *in6;

    if (in6->sin6_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
        set_ipv4(address, len, copy.sin6_port, copy.sin6_addr.s6_addr + 12);
}

/* getpeername(2): the address is cut to the room given, *len becomes what it would have needed. */
static int give(const struct sockaddr_storage *address, socklen_t needed, struct sockaddr *addr,
                socklen_t *len)
{
    socklen_t room = *len;

    if ((int)room < 0) {
        errno = EINVAL;
        return -1;
    }
    room = room < needed ? room : needed;
    if (!userptr_is_writable(addr, room, USERPTR_ADDR)) {
        errno = EFAULT;
        return -1;
    }
    memcpy(addr, address, room);
    *len = needed;
    return 0;
}

static uint8_t *host_of(struct sockaddr_storage *address, uint8_t *len)
{
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)address;
    struct sockaddr_in *in = (struct sockaddr_in *)address;
    bool is_ipv6 = address->ss_family == AF_INET6;

    *len = is_ipv6 ? sizeof in6->sin6_addr : sizeof in->sin_addr;
    return is_ipv6 ? in6->sin6_addr.s6_addr : (uint8_t *)&in->sin_addr;
}

/* A rule of this host is more than one of any: several sockets may have the port. */
static const struct env_end *find_asked(struct sockaddr_storage *address, uint16_t port)
{
    static const uint8_t any[16];
    const struct env_end *asked = NULL;
    uint8_t len;
    const uint8_t *host = host_of(address, &len);

    for (unsigned i = 0; i < env.port_count; i++) {
        const struct env_end *real = &env.ports[i].real;
        if (real->port != port || (real->host_len > 0 && real->host_len != len))
            continue;
        if (real->host_len > 0 && memcmp(real->host, host, len) == 0)
            return &env.ports[i].asked;
        if (!asked && memcmp(real->host, any, real->host_len) == 0)
            asked = &env.ports[i].asked;
    }
    return asked;
}

static int option_of(int fd, int option)
{
    int value = 0;
    socklen_t len = sizeof value;

    return NEXT(getsockopt)(fd, SOL_SOCKET, option, &value, &len) < 0 ? -1 : value;
}

/* Whether a rule of --port may be about this socket: a listener that is shared, or what may be a
 * connection to one, of this process or of the one that executed it. */
static bool is_shared(int fd)
{
    struct fdmap_entry entry = fdmap_get(fd);

    if (entry.kind == FDMAP_HIDDEN || entry.kind == FDMAP_LISTENER || entry.kind == FDMAP_CONN)
        return true;
    return !(entry.kind == FDMAP_FOREIGN && entry.index == FDMAP_NATIVE) &&
           option_of(fd, SO_TYPE) == SOCK_STREAM && option_of(fd, SO_ACCEPTCONN) == 0;
}

/* --port: a listener, and the connections to it, are where the server has asked for. */
static void show_asked(int fd, struct sockaddr_storage *address)
{
    struct sockaddr_in *in =
        (struct sockaddr_in *)address; /* the port is in the same place in both */
    uint8_t len;

    if (env.port_count == 0 || (address->ss_family != AF_INET && address->ss_family != AF_INET6))
        return;
    const struct env_end *asked = find_asked(address, ntohs(in->sin_port));
    if (!asked || !is_shared(fd))
        return;
    in->sin_port = htons(asked->port);
    uint8_t *host = host_of(address, &len);
    if (asked->host_len == len)
        memcpy(host, asked->host, len);
}

static int get_name(proxied_call *next, int fd, struct sockaddr *addr, socklen_t *len, bool is_peer)
{
    struct sockaddr_storage address;
    socklen_t needed = sizeof address;
    int saved = errno;
    uint32_t use = atomic_load_explicit(&proxied_use, memory_order_relaxed);

    if (!userptr_is_writable(len, sizeof *len, USERPTR_LEN) ||
        next(fd, (struct sockaddr *)&address, &needed) < 0)
        return next(fd, addr, len);
    if (!is_peer)
        show_asked(fd, &address);
    bool is_tcp = address.ss_family == AF_INET || address.ss_family == AF_INET6;
    if (is_tcp && (use & WIRE_GRANT_PROXIED))
        look_up(fd, is_peer, &address, &needed);
    if (is_tcp && is_peer && (use & WIRE_GRANT_UNMAP))
        unmap(&address, &needed);
    errno = saved;
    return give(&address, needed, addr, len);
}

int proxied_getpeername(proxied_call *next, int fd, struct sockaddr *addr, socklen_t *len)
{
    return get_name(next, fd, addr, len, true);
}

int proxied_getsockname(proxied_call *next, int fd, struct sockaddr *addr, socklen_t *len)
{
    return get_name(next, fd, addr, len, false);
}
