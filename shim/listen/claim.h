/*
 * claim.h - bind(2): asks the broker for an address. fd is the program's and is borrowed; errno is
 * kept on success. Thread-safe, allocates nothing.
 */
#ifndef SSHIM_SHIM_LISTEN_CLAIM_H
#define SSHIM_SHIM_LISTEN_CLAIM_H

#include <sys/socket.h>

#include "shim/base/broker_rpc.h"
#include "shim/record/vlisten.h"

enum claim_result { CLAIM_NATIVE, CLAIM_DONE, CLAIM_FAILED, CLAIM_UNANSWERED };

/*
 * bind(fd, addr, len). CLAIM_NATIVE: not shared, the caller binds natively. CLAIM_DONE: it is
 * bound, shared or, after the first accept, natively. CLAIM_FAILED: errno is what bind(2) gave in
 * the broker; EADDRNOTAVAIL with a line on fd 2 when the broker cannot be reached.
 */
enum claim_result claim_bind(int fd, const struct sockaddr *addr, socklen_t len);

/* Puts what was granted (takes the shadow and the board) in the place of the program's socket.
 * CLAIM_DONE, or CLAIM_FAILED with ENOMEM. */
enum claim_result claim_install(int fd, int status_flags, struct link_grant *grant);

/* connect() on a bound fd: it is a client after all. The socket becomes the program's own again; 0,
 * or -1 as bind(2). */
int claim_abandon(struct vlisten *listener, int fd);

#endif
