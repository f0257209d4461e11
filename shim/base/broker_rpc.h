/*
 * broker_rpc.h - one request to the broker: connect, ask, answer, close. Nothing is kept open
 * between requests, so a server that closes every fd, forks or execs loses nothing.
 *
 * Blocks for at most LINK_DEADLINE_S; not a cancellation point; leaves no fd behind on failure.
 */
#ifndef SSHIM_SHIM_BASE_BROKER_RPC_H
#define SSHIM_SHIM_BASE_BROKER_RPC_H

#include <stddef.h>
#include <stdint.h>

#include "proto/wire.h"

#define LINK_DEADLINE_S 20

struct link_grant {
    enum wire_verdict verdict;
    int error;
    uint64_t channel;
    int backlog;
    uint32_t flags; /* WIRE_GRANT_* */
    int channel_fd; /* -1 unless given */
    int shadow_fd;  /* -1 unless given */
    int board_fd;   /* -1 unless given */
};

/*
 * Connects to the broker named by the environment: by the abstract name derived from its path (it
 * works after chroot and for other uids), else by the path. Returns a close-on-exec fd that the
 * caller closes, or -1 with the errno of connect(2), EPERM when the process that answers is not the
 * broker's user, or ENAMETOOLONG.
 */
int link_open(void);

/* The same with another deadline, for all that is done with that fd. */
int link_open_within(int deadline_ms);

/*
 * Sends a request with fd (borrowed, -1 for none) and receives the answer; gives every descriptor
 * in *grant to the caller. Returns 0, or -1 with the errno of sendmsg(2) or recvmsg(2), ETIMEDOUT,
 * or EPROTO.
 */
int link_ask(int link_fd, const void *request, size_t len_bytes, int fd, struct link_grant *grant);

/* The memory of the clients behind balancers (proto/proxied.h), which the caller closes; or -1 with
 * the errno of connect(2) or recvmsg(2). */
int link_fetch_proxied(int deadline_ms);

/* Both for a single request: opens the link and closes it again. */
int link_ask_once(int deadline_ms, const void *request, size_t len_bytes, int fd,
                  struct link_grant *grant);

/* ATTACH with these flags: asks for the record of this channel (0: not known), or of the socket fd
 * (borrows, -1 for none). As link_ask(). */
int link_attach(uint64_t channel, uint32_t flags, int fd, struct link_grant *grant);

/*
 * No record could be made of a WIRE_SHARED: this process does not hold the listener, but the broker
 * has counted it. If no other process holds it, tells the broker on channel_fd (borrows; -1: does
 * not). Keeps the grant.
 */
void link_grant_refuse(const struct link_grant *grant, int channel_fd);

/* Closes what a grant holds and has not been taken out (set to -1). */
void link_grant_finish(struct link_grant *grant);

/* Says on fd 2, in one line, why the broker cannot be reached, and how long it was waited for (at
 * most 9 s; 0: not at all). This and the next two are all that the shim ever says; errno is kept.
 */
void link_complain(int error, int waited_s);

/* Says, once, that no more listeners can be shared. */
void link_complain_full(void);

/* Says, once, that an address is in use, and that copies do not share listeners of this kind. */
void link_complain_kind(const char *kind);

#endif
