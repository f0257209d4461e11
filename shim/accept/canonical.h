/*
 * canonical.h - accept on a listener whose fd is the canonical socket itself (see prefork.h).
 * Lock-free, thread-safe.
 */
#ifndef SSHIM_SHIM_ACCEPT_CANONICAL_H
#define SSHIM_SHIM_ACCEPT_CANONICAL_H

#include "shim/record/vlisten.h"

/* accept4(2), with addr and len already checked; at_once: a wait has reported a connection, and if
 * another copy was faster this fails with ECONNABORTED instead of waiting. CANONICAL_OVER: another
 * thread has put the channel back by shutdown(2). */
#define CANONICAL_OVER (-2)
int canonical_accept(struct vlisten *listener, int fd, struct sockaddr *addr, socklen_t *len,
                     int flags, bool at_once);

/* SO_RCVTIMEO of this socket, in milliseconds as poll(2) takes it; -1: none. */
int canonical_timeout_ms(int fd);

#endif
