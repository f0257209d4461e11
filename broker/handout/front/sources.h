/*
 * sources.h - how many connections a client, or a network of clients, has open and how fast it
 * opens them: --max-conns-per-source, --max-rate-per-source, --penalty. Of bounded size: a flood of
 * addresses pushes out sources that have done nothing for the longest time, not those that are
 * punished or have connections.
 *
 * The broker does not see a connection's end. A source that reaches its limit has its connections
 * looked at, one by one, by is_open. That may take a tenth of the time at most: while it would take
 * more, such a source is refused without a look.
 */
#ifndef SSHIM_BROKER_HANDOUT_FRONT_SOURCES_H
#define SSHIM_BROKER_HANDOUT_FRONT_SOURCES_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/base/cidr.h"
#include "broker/diagnose/sock_diag.h"

struct sources_limits {
    unsigned conns;                /* 0: any number */
    unsigned rate, rate_s;         /* so many in so many seconds; 0: any number */
    unsigned penalty_s;            /* a source that exceeded a limit is refused for so long */
    unsigned bits_ipv4, bits_ipv6; /* of the network that is one source */
    bool (*is_open)(const struct sock_diag_key *key);
    int64_t (*now_us)(void);
};

#define SOURCES_MAX 16384              /* at a time */
#define SOURCES_CONNECTIONS_MAX 131072 /* of all of them */

/* Forgets all. False: memory is out. */
bool sources_init(const struct sources_limits *limits);

/* Why a connection of this host is not taken, or NULL: it is taken and counts, under its key. */
const char *sources_refuse(const struct cidr_host *host, const struct sock_diag_key *key);

/* Whether the connection's key is wanted: only then is it worth its calls. */
bool sources_want_keys(void);

#endif
