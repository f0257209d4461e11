/*
 * accept.h - accept4(2) on a shared listener. ARCHITECTURE.md has a table of the ways a connection
 * takes into it.
 */
#ifndef SSHIM_SHIM_ACCEPT_ACCEPT_H
#define SSHIM_SHIM_ACCEPT_ACCEPT_H

#include "shim/record/vlisten.h"

/*
 * Gives a connection, the program's from now on, or -1 with an errno of accept(2); errno is kept on
 * success. fd is borrowed. Blocks in libc's recvmsg, poll or accept4 only, which are cancellation
 * points. Thread-safe, lock-free.
 */
int accept_connection(struct vlisten *listener, int fd, struct sockaddr *addr, socklen_t *len,
                      int flags);

#endif
