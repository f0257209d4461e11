/* hooks.h - exported calls that headers of some libc versions do not declare. */
#ifndef SSHIM_SHIM_HOOKS_H
#define SSHIM_SHIM_HOOKS_H

#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <time.h>

int close_range(unsigned first, unsigned last, int flags);
void closefrom(int first);
int fcntl64(int fd, int command, ...);
int __poll_chk(struct pollfd *fds, nfds_t count, int timeout_ms, size_t size_bytes);
int __ppoll_chk(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
                const sigset_t *mask, size_t size_bytes);

#endif
