/*
 * shareable.h - which bind() may be shared: a stream socket with a TCP port or a name of AF_UNIX,
 * set up before the first accept, or an address that this program has had before. Asks nobody,
 * keeps errno.
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

/* An int of SOL_SOCKET, or -1. */
int shareable_option(int fd, int option);

#endif
