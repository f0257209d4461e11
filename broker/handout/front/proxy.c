/* proxy.c - see proxy.h. */
#include "broker/handout/front/proxy.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "broker/base/broker.h"
#include "broker/handout/front/access.h"
#include "broker/handout/front/proxied.h"
#include "broker/handout/front/proxy_header.h"

static const struct held_look more = {.result = LOOK_MORE};
static const struct held_look done = {.result = LOOK_DONE};

static struct held_look reject(const struct held *held, const char *why)
{
    struct cidr_host host;

    if (held_get_host(held, &host))
        access_tell(&host, why);
    return (struct held_look){LOOK_CLOSE, HELD_REJECTED};
}

/*
 * In the family of the listener, which its server expects. An IPv6 listener tells a host of IPv4 in
 * the mapped form, as accept(2) does. To an IPv4 listener a host of IPv6 cannot be told: 0.0.0.0.
 */
static void fit(struct sockaddr_storage *end, sa_family_t family)
{
    const struct sockaddr_in6 in6 = *(const struct sockaddr_in6 *)end;
    const struct sockaddr_in in = *(const struct sockaddr_in *)end;
    struct cidr_host host;

    if (end->ss_family == family || !cidr_host_of(end, &host))
        return;
    memset(end, 0, sizeof *end);
    end->ss_family = family;
    if (family == AF_INET6) {
        ((struct sockaddr_in6 *)end)->sin6_port = in.sin_port;
        memcpy(&((struct sockaddr_in6 *)end)->sin6_addr, host.bytes, sizeof host.bytes);
    } else {
        ((struct sockaddr_in *)end)->sin_port = in6.sin6_port;
        if (cidr_host_is_ipv4(&host))
            memcpy(&((struct sockaddr_in *)end)->sin_addr, host.bytes + 12, 4);
    }
}

static void set_peer(struct held *held, const struct sockaddr_storage *client)
{
    held->peer_len = client->ss_family == AF_INET6 ? sizeof held->peer.in6 : sizeof held->peer.in;
    memcpy(&held->peer, client, held->peer_len);
}

static void note(struct held *held, struct proxy_header *header)
{
    fit(&header->source, held->peer.family);
    fit(&header->destination, held->peer.family);
    proxied_note(held, &header->source, &header->destination);
    set_peer(held, &header->source);
}

bool proxy_resume(struct held *held)
{
    struct sockaddr_storage client;

    if (!proxied_get(held->fd, &client))
        return false;
    set_peer(held, &client);
    return true;
}

/* MSG_TRUNC: nothing is copied, tcp(7). All of it is there. */
static bool consume(int fd, size_t len)
{
    return recv(fd, NULL, len, MSG_TRUNC | MSG_DONTWAIT) == (ssize_t)len;
}

static struct held_look read_header(struct held *held, uint32_t events)
{
    static uint8_t bytes[PROXY_HEADER_MAX];
    struct proxy_header header;
    ssize_t got = recv(held->fd, bytes, sizeof bytes, MSG_PEEK | MSG_DONTWAIT);

    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return more;
    if (got <= 0)
        return (struct held_look){LOOK_CLOSE, HELD_HUNG_UP};
    switch (proxy_header_read(bytes, (size_t)got, held->listener->front.accept_proxy, &header)) {
    case PROXY_INVALID: return reject(held, header.fault);
    case PROXY_INCOMPLETE:
        return events & HELD_HALF_CLOSED ? reject(held, "it ended within its PROXY header") : more;
    case PROXY_COMPLETE: break;
    }
    if (!consume(held->fd, header.len))
        return (struct held_look){LOOK_CLOSE, HELD_HUNG_UP};
    if (header.has_ends)
        note(held, &header);
    return done;
}

struct held_look proxy_look(struct held *held, uint32_t events)
{
    struct cidr_host sender;

    if (held_get_host(held, &sender) && cidr_set_contains(&broker.config.proxy_from, &sender))
        return read_header(held, events);
    return broker.config.proxy_optional ? done : reject(held, "it is not one of --proxy-from");
}
