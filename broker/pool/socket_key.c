/* socket_key.c - see socket_key.h. */
#include "broker/pool/socket_key.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/base/loop/fds.h"
/* asm-generic/socket.h, newer than some C libraries */
#ifndef SO_BINDTOIFINDEX
#define SO_BINDTOIFINDEX 62
#endif
#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif
#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

static int read_int(int fd, int level, int name)
{
    int value = 0;
    socklen_t len = sizeof value;

    return getsockopt(fd, level, name, &value, &len) == 0 ? value : 0;
}

static uint64_t read_netns(int fd)
{
    uint64_t cookie = 0;
    socklen_t len = sizeof cookie;

    return getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &len) == 0 ? cookie : 0;
}

/* It stays what it was when the broker began. */
static uint64_t own_netns(void)
{
    static uint64_t cookie;
    static bool known;

    if (!known) {
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        cookie = read_netns(fd);
        known = fd >= 0;
        if (fd >= 0)
            close(fd);
    }
    return cookie;
}

/* In the network namespace of the socket, which need not be ours. */
static void name_zone(struct socket_key *key, int fd, int index)
{
    struct ifreq request = {.ifr_ifindex = index};

    if (index > 0 && ioctl(fd, SIOCGIFNAME, &request) == 0)
        snprintf(key->zone, sizeof key->zone, "%.*s", IFNAMSIZ - 1, request.ifr_name);
}

void socket_key_read(struct socket_key *key, const struct address *address, int fd)
{
    int family = address->storage.ss_family;
    uint64_t netns = address_is_path(address) ? 0 : read_netns(fd);

    memset(key, 0, sizeof *key);
    key->netns = netns == own_netns() ? 0 : netns;
    /* of one abstract name, streams and packets are two sockets; a file is one */
    if (family == AF_UNIX && !address_is_path(address) &&
        fds_get_option(fd, SO_TYPE) == SOCK_SEQPACKET)
        key->protocol = SOCK_SEQPACKET;
    /* an ioctl on what is no socket could do anything */
    if ((family != AF_INET && family != AF_INET6) || fds_get_option(fd, SO_DOMAIN) != family)
        return;
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&address->storage;
    bool is_v6 = family == AF_INET6;
    key->device = read_int(fd, SOL_SOCKET, SO_BINDTOIFINDEX);
    key->protocol = fds_get_option(fd, SO_PROTOCOL) == IPPROTO_MPTCP ? IPPROTO_MPTCP : 0;
    key->v6only = is_v6 && IN6_IS_ADDR_UNSPECIFIED(&in6->sin6_addr) &&
                  read_int(fd, IPPROTO_IPV6, IPV6_V6ONLY);
    if (is_v6 && key->device == 0 && IN6_IS_ADDR_LINKLOCAL(&in6->sin6_addr))
        key->device = (int)in6->sin6_scope_id; /* bind(2) makes it so */
    name_zone(key, fd, key->device);
}

bool socket_key_is_fit(int fd, int family)
{
    int type = fds_get_option(fd, SO_TYPE);

    return fds_get_option(fd, SO_DOMAIN) == family &&
           (type == SOCK_STREAM || (type == SOCK_SEQPACKET && family == AF_UNIX));
}

bool socket_key_equal(const struct socket_key *a, const struct socket_key *b)
{
    return a->netns == b->netns && a->view == b->view && a->device == b->device &&
           a->protocol == b->protocol && a->v6only == b->v6only;
}

const char *socket_key_format(const struct socket_key *key, const struct address *address,
                              char text[SOCKET_KEY_TEXT_MAX])
{
    char plain[ADDRESS_TEXT_MAX];
    char netns[32] = "";

    address_format(address, plain);
    size_t host_len = strlen(plain);
    if (key->zone[0]) { /* "HOST" of "HOST:PORT", without the bracket of IPv6 */
        host_len = (size_t)(strrchr(plain, ':') - plain);
        host_len -= plain[host_len - 1] == ']';
    }
    if (key->netns)
        snprintf(netns, sizeof netns, "@netns:%llu", (unsigned long long)key->netns);
    snprintf(text, SOCKET_KEY_TEXT_MAX, "%.*s%s%s%s%s%s", (int)host_len, plain,
             key->zone[0] ? "%" : "", key->zone, plain + host_len,
             key->protocol == IPPROTO_MPTCP    ? "/mptcp"
             : key->protocol == SOCK_SEQPACKET ? "/seqpacket"
                                               : "",
             netns);
    return text;
}
