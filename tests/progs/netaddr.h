/*
 * netaddr.h - addresses as text for the test programs: "HOST:PORT", "[HOST]:PORT", "/PATH",
 * "@ABSTRACT"; a leading "udp:" asks for a datagram socket, "v6only:" sets IPV6_V6ONLY.
 */
#ifndef SSHIM_TESTS_NETADDR_H
#define SSHIM_TESTS_NETADDR_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#define NETADDR_TEXT_MAX 160

struct netaddr {
    struct sockaddr_storage storage;
    socklen_t len;
    int type; /* SOCK_STREAM or SOCK_DGRAM */
    bool v6only;
};

static inline bool netaddr_parse_unix(struct netaddr *addr, const char *text)
{
    struct sockaddr_un *un = (struct sockaddr_un *)&addr->storage;
    size_t len = strlen(text);

    if (len >= sizeof un->sun_path)
        return false;
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, text, len);
    addr->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    if (text[0] == '@')
        un->sun_path[0] = '\0';
    else
        addr->len = sizeof *un;
    return true;
}

static inline bool netaddr_parse_ip(struct netaddr *addr, const char *text)
{
    struct sockaddr_in *in = (struct sockaddr_in *)&addr->storage;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&addr->storage;
    const char *colon = strrchr(text, ':');
    char host[64];

    if (!colon || (size_t)(colon - text) >= sizeof host)
        return false;
    snprintf(host, sizeof host, "%.*s", (int)(colon - text), text);
    in_port_t port = htons((in_port_t)atoi(colon + 1));
    if (host[0] == '[') {
        host[strlen(host) - 1] = '\0';
        in6->sin6_family = AF_INET6;
        in6->sin6_port = port;
        addr->len = sizeof *in6;
        return inet_pton(AF_INET6, host + 1, &in6->sin6_addr) == 1;
    }
    in->sin_family = AF_INET;
    in->sin_port = port;
    addr->len = sizeof *in;
    return inet_pton(AF_INET, host, &in->sin_addr) == 1;
}

static inline bool netaddr_parse(struct netaddr *addr, const char *text)
{
    memset(addr, 0, sizeof *addr);
    addr->type = SOCK_STREAM;
    if (strncmp(text, "udp:", 4) == 0) {
        addr->type = SOCK_DGRAM;
        text += 4;
    }
    if (strncmp(text, "v6only:", 7) == 0) {
        addr->v6only = true;
        text += 7;
    }
    return text[0] == '/' || text[0] == '@' ? netaddr_parse_unix(addr, text)
                                            : netaddr_parse_ip(addr, text);
}

/* A peer that is IPv4 behind an IPv6 socket is written as IPv4. */
static inline const char *netaddr_format(const struct sockaddr_storage *storage, socklen_t len,
                                         char text[NETADDR_TEXT_MAX])
{
    const struct sockaddr_in *in = (const struct sockaddr_in *)storage;
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)storage;
    const struct sockaddr_un *un = (const struct sockaddr_un *)storage;
    char host[INET6_ADDRSTRLEN];
    int path_len = (int)(len - offsetof(struct sockaddr_un, sun_path));

    switch (storage->ss_family) {
    case AF_INET:
        inet_ntop(AF_INET, &in->sin_addr, host, sizeof host);
        snprintf(text, NETADDR_TEXT_MAX, "%s:%d", host, ntohs(in->sin_port));
        break;
    case AF_INET6:
        inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof host);
        if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
            snprintf(text, NETADDR_TEXT_MAX, "%s:%d", host + strlen("::ffff:"),
                     ntohs(in6->sin6_port));
        else
            snprintf(text, NETADDR_TEXT_MAX, "[%s]:%d", host, ntohs(in6->sin6_port));
        break;
    case AF_UNIX:
        if (path_len > 0 && un->sun_path[0] == '\0')
            snprintf(text, NETADDR_TEXT_MAX, "@%.*s", path_len - 1, un->sun_path + 1);
        else
            snprintf(text, NETADDR_TEXT_MAX, "%.*s", path_len > 0 ? path_len : 0, un->sun_path);
        break;
    default: snprintf(text, NETADDR_TEXT_MAX, "family-%d", storage->ss_family); break;
    }
    return text;
}

#endif
