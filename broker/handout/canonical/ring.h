/*
 * ring.h - accept(2) that never sleeps, whatever O_NONBLOCK says: by io_uring, whose requests carry
 * that wish themselves (IORING_ACCEPT_DONTWAIT, since Linux 6.10). It costs more than accept4(2)
 * and may be forbidden, so take.c uses it only where it must.
 */
#ifndef SSHIM_BROKER_HANDOUT_CANONICAL_RING_H
#define SSHIM_BROKER_HANDOUT_CANONICAL_RING_H

#include <sys/socket.h>

/*
 * As accept4(2) on a socket with O_NONBLOCK; gives the connection's fd. -1 with the errno of
 * accept(2), EOPNOTSUPP where this kernel or its administrator does not permit it. Not thread-safe.
 */
int ring_accept(int listening_fd, struct sockaddr *peer, socklen_t *len, int flags);

#endif
