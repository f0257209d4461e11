/*
 * socket_key.h - tells two listeners with one address apart: the kernel permits both, each
 * with clients of its own. Read from the socket; shown to operators as part of the address.
 */
#ifndef SSHIM_BROKER_POOL_SOCKET_KEY_H
#define SSHIM_BROKER_POOL_SOCKET_KEY_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "broker/base/address.h"

struct socket_key {
    uint64_t netns;      /* SO_NETNS_COOKIE; 0: the broker's own, a file, or the kernel is older */
    int device;          /* SO_BINDTOIFINDEX; 0: any */
    int protocol;        /* IPPROTO_MPTCP; of an abstract name SOCK_SEQPACKET; else 0 */
    uint64_t view;       /* of a path that the broker does not look up: from where; 0: it is none */
    bool v6only;         /* IPV6_V6ONLY, where the address is [::] */
    char zone[IFNAMSIZ]; /* name of the device, or of the address's scope; "": none */
};

/* A member that the kernel does not know is 0. Borrows fd, of any kind. Never sleeps. */
void socket_key_read(struct socket_key *key, const struct address *address, int fd);

/* Whether fd (borrows, of any kind) is a socket of this family whose listener can be shared by its
 * type: streams, and packets of AF_UNIX. */
bool socket_key_is_fit(int fd, int family);

/* Whether they may be one listener. The zone is only a name of the device or scope. */
bool socket_key_equal(const struct socket_key *a, const struct socket_key *b);

/* Longest text socket_key_format() makes, NUL included. */
#define SOCKET_KEY_TEXT_MAX (ADDRESS_TEXT_MAX + IFNAMSIZ + 40)

/* As address_format(), with "%zone" behind the host, "/mptcp" or "/seqpacket" behind the address,
 * and "@netns:COOKIE" where it is not the broker's. Returns text. */
const char *socket_key_format(const struct socket_key *key, const struct address *address,
                              char text[SOCKET_KEY_TEXT_MAX]);

#endif
