/* listen.h - listen(2) and shutdown(2) on a shared listener. fd is the program's and is borrowed.
 * Thread-safe, allocates nothing. */
#ifndef SSHIM_SHIM_LISTEN_LISTEN_H
#define SSHIM_SHIM_LISTEN_LISTEN_H

#include "shim/record/vlisten.h"

/* listen(fd, backlog); 0, or -1 with the errno of listen(2). */
int listen_begin(struct vlisten *listener, int fd, int backlog);

/* shutdown(2) with a valid how: this worker stops listening, the others do not notice. If there
 * are no others, the broker stops as well. */
int listen_shutdown(struct vlisten *listener, int fd, int how);

#endif
