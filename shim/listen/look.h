/*
 * look.h - servers that test by connect() whether their address is free before they bind it.
 * Natively the connection is refused; here other copies would accept it, and the server would not
 * start. So a process that has not listened yet gets ECONNREFUSED at an address that its own broker
 * shares.
 *
 * Only for workers that the broker started: a joiner is as often a client. Thread-safe and
 * async-signal-safe; keeps errno.
 */
#ifndef SSHIM_SHIM_LISTEN_LOOK_H
#define SSHIM_SHIM_LISTEN_LOOK_H

#include <stdbool.h>
#include <sys/socket.h>

/*
 * connect(fd, addr, len) in a managed process, on a socket that is no listener; errno is that of
 * connect(2). One system call, connect, once the process has accepted (at a port: has listened),
 * and for an address that is not of this machine: not in 127.0.0.0/8, not ::1, no socket file, no
 * abstract name.
 *
 * Copies that start together may look before any of them has bound, and then meet: what connect
 * reached is asked about once more. If another copy has come to listen meanwhile the connection is
 * taken back, the socket is as before, and its dups and epoll registrations as well; that copy sees
 * a connection that ends at once. Waits for the broker for a second at most each time; without an
 * answer the kernel decides.
 */
int look_connect(int fd, const struct sockaddr *addr, socklen_t len);

#endif
