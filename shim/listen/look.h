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
 * Whether connect(fd, addr, len) is to fail with ECONNREFUSED. No system call once the process has
 * listened, and none for an address that is not of this machine: not in 127.0.0.0/8, not ::1, no
 * socket file, no abstract name. Waits for the broker for a second at most; without an answer the
 * kernel decides.
 */
bool look_is_refused(int fd, const struct sockaddr *addr, socklen_t len);

#endif
