/*
 * shareable.h - which bind() may be shared: a stream socket with a TCP port or a name of AF_UNIX,
 * set up before the first accept, or an address that this program has had before. Asks no other
 * process, keeps errno.
 */
#ifndef SSHIM_SHIM_LISTEN_SHAREABLE_H
#define SSHIM_SHIM_LISTEN_SHAREABLE_H

#include <stdbool.h>
#include <sys/socket.h>

#include "shim/record/vlisten.h"

/* The length of the address that bind(fd, addr, len) may share, copied to *copy; 0: none, bind
 * natively. *is_late: it is private, unless the others have it already. */
socklen_t shareable_address(int fd, const struct sockaddr *addr, socklen_t len,
                            struct sockaddr_storage *copy, bool *is_late);

/* It is shared by this program, which may bind it again later. */
void shareable_remember(struct vlisten *listener, const struct sockaddr_storage *addr,
                        socklen_t len);

/* Whether it is a socket of this family whose listeners can be shared by their type: streams, and
 * sequenced packets of AF_UNIX. */
bool shareable_is_connected_type(int fd, sa_family_t family);

/* The name of what this socket is, if it may listen and is never shared, as those of AF_VSOCK; else
 * NULL. */
const char *shareable_foreign_kind(int fd);

/* An int of SOL_SOCKET, or -1. */
int shareable_option(int fd, int option);

#endif
