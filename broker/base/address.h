/*
 * address.h - socket addresses as the broker sees them: compared, printed, and matched against
 * --share and --unshared. Pure functions.
 */
#ifndef SSHIM_BROKER_BASE_ADDRESS_H
#define SSHIM_BROKER_BASE_ADDRESS_H

#include <stdalign.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "proto/wire.h"

/* Of one size on all machines: it is in the snapshot. */
struct address {
    socklen_t len;
    alignas(8) struct sockaddr_storage storage;
};

/* Longest text address_format() makes, NUL included. */
#define ADDRESS_TEXT_MAX 160

/* From a message; false when the length does not fit its family, or the family is none of ours. */
bool address_from_wire(struct address *address, const struct wire_address *wire);

bool address_equal(const struct address *a, const struct address *b);
/* Whether they have a port in common, and one host or any host: one may keep the other from being
 * bound. */
bool address_overlaps(const struct address *a, const struct address *b);
/* Whether a connect to this address would come to a socket that is bound to the other; v6only: of
 * that socket, where it is [::]. Connecting to any host means the loopback. */
bool address_reaches(const struct address *to, const struct address *bound, bool v6only);
/* The port of an IP address; -1: it is none. */
int address_port(const struct address *address);
bool address_has_port_zero(const struct address *address);

/* Whether this IP address is that of any host, as 0.0.0.0. */
bool address_is_any_host(const struct address *address);
/* Whether a is every address of the port that b has too: an IPv6 one may be of IPv4 as well. */
bool address_is_wildcard_of(const struct address *a, const struct address *b);
/* A file name, as opposed to an abstract name. */
bool address_is_path(const struct address *address);

/* "127.0.0.1:80", "[::1]:80", "unix:/run/a.sock", "unix:@name". Unprintable bytes become '?'.
 * Returns text. */
const char *address_format(const struct address *address, char text[ADDRESS_TEXT_MAX]);

/* An address to listen on: "HOST:PORT", "[IPV6]:PORT", "PORT" (of 127.0.0.1), "/PATH" or
 * "unix:/PATH". False: it is none, or too long. */
bool address_parse(const char *text, struct address *address);

/* Hash of the peer's host, not its port, for --balance source. */
uint32_t address_hash_host(const struct sockaddr_storage *peer);

/*
 * Whether --share or --unshared PATTERN means this address on the device of this name ("": on all).
 * PATTERN: "all", "PORT", "*:PORT",
 * "HOST:PORT", "[IPV6]:PORT", both with "%DEVICE" behind the host or without, which means any,
 * "/PATH" (also relative, compared as text to what the server bound, or its last component),
 * "@NAME".
 */
bool address_matches(const struct address *address, const char *zone, const char *pattern);

/* Whether a pattern can mean anything. */
bool address_is_pattern(const char *pattern);

/* Whether an IP pattern means port 0, which nothing has that is bound. */
bool address_is_pattern_of_zero(const char *pattern);

/* "8081+{id}": a pattern of IP with this behind its port, for --unshared. address_matches() looks
 * at what is before it. */
#define ADDRESS_EACH "+{id}"
bool address_is_each(const char *pattern);

/* Of an IP address. */
void address_set_port(struct address *address, unsigned port);

/* Adds to the port of an IP address. False: there is no such port. */
bool address_add_to_port(struct address *address, unsigned number);

#endif
