/*
 * sock_diag.h - asks the kernel for connections (sock_diag(7)). No right is needed. One of TCP is
 * looked up by its ends. A list walks the kernel's table of all connections: with 262,144 places it
 * costs as much as a hundred questions, each connection that it finds a fifth of one, and each
 * other one of the machine, also in TIME_WAIT, a twentieth (a cache miss).
 */
#ifndef SSHIM_BROKER_DIAGNOSE_SOCK_DIAG_H
#define SSHIM_BROKER_DIAGNOSE_SOCK_DIAG_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

/* Of one connection. */
struct sock_diag_key {
    uint64_t cookie;                /* SO_COOKIE, socket(7): the kernel gives it once */
    uint16_t family;                /* AF_INET or AF_INET6 */
    uint16_t local_port, peer_port; /* in network order */
    uint8_t local[16], peer[16];
    uint16_t device; /* the index of the one that the socket is bound to; 0: none */
};

/* The key of a connection; false: it is none of TCP, or over. All of it is asked of the kernel: the
 * listener's address may be another one (IP_TRANSPARENT, a wildcard, a mapped address). */
bool sock_diag_identify(int fd, struct sock_diag_key *key);

enum sock_diag_answer {
    SOCK_DIAG_OPEN,    /* some process has it */
    SOCK_DIAG_CLOSED,  /* none has, or it does not exist */
    SOCK_DIAG_UNKNOWN, /* the kernel does not answer such questions */
};

/* Whether a process has the connection, in the broker's network namespace. Never waits. */
enum sock_diag_answer sock_diag_ask(const struct sock_diag_key *key);

/* The same; a cookie of 0 becomes that of the connection that has these ends now. */
enum sock_diag_answer sock_diag_find(struct sock_diag_key *key);

/* Calls on_open() with the cookie of each connection of that family and local port (in network
 * order) that a process has. If a connection ends meanwhile, another one may be left out: a
 * connection missing from two lists in a row is closed. False: the kernel does not answer, or not
 * to the end. Never waits.
 */
bool sock_diag_list(uint16_t family, uint16_t local_port, void (*on_open)(uint64_t cookie));

/* Whether the peer of a connection of AF_UNIX cannot be written to until some of what it has sent
 * is read. Walks all sockets of AF_UNIX of the broker's network namespace, twice; false as well for
 * a peer in another one. Never waits. */
bool sock_diag_is_sender_full(int fd);

#endif
