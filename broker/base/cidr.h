/*
 * cidr.h - hosts and networks as an operator writes them: "192.0.2.7", "10.0.0.0/8",
 * "2001:db8::/32". Pure functions.
 *
 * A client of IPv4 has one form here, whether the listener is of IPv4 or of IPv6: the mapped one
 * (RFC 4291, 2.5.5.2).
 */
#ifndef SSHIM_BROKER_BASE_CIDR_H
#define SSHIM_BROKER_BASE_CIDR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct cidr_host {
    uint8_t bytes[16];
};

struct cidr {
    struct cidr_host host; /* its bits behind the prefix are 0 */
    uint8_t bits;          /* of the prefix; of IPv4: 96 and more */
};

#define CIDR_SET_MAX 256

struct cidr_set {
    struct cidr at[CIDR_SET_MAX];
    unsigned count;
};

/* Longest text of cidr_format(), NUL included. */
#define CIDR_TEXT_MAX 56

/* The host of a socket's address; false: it has none (AF_UNIX). */
bool cidr_host_of(const struct sockaddr_storage *address, struct cidr_host *host);

/* Whether the host is one of IPv4. */
bool cidr_host_is_ipv4(const struct cidr_host *host);

/* The host's network of that many bits: of 32 if it is one of IPv4, else of 128. */
struct cidr cidr_of_host(const struct cidr_host *host, unsigned bits_ipv4, unsigned bits_ipv6);

/* False: it is neither an address nor ADDRESS/BITS. Bits behind the prefix are ignored. */
bool cidr_parse(const char *text, struct cidr *cidr);

/* "192.0.2.7", "10.0.0.0/8". Returns text. */
const char *cidr_format(const struct cidr *cidr, char text[CIDR_TEXT_MAX]);

bool cidr_equal(const struct cidr *a, const struct cidr *b);

/* "::/0" and other networks of IPv6 contain no host of IPv4. */
bool cidr_contains(const struct cidr *cidr, const struct cidr_host *host);

bool cidr_set_contains(const struct cidr_set *set, const struct cidr_host *host);

/* Adds it, unless it is there. False: the set is full. */
bool cidr_set_add(struct cidr_set *set, const struct cidr *cidr);

/* False: it was not there. */
bool cidr_set_remove(struct cidr_set *set, const struct cidr *cidr);

/* Adds "CIDR,CIDR,...". False: one of them is none, or the set is full; it is changed all the
 * same. */
bool cidr_set_add_list(struct cidr_set *set, const char *list);

#endif
