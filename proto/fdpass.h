/*
 * fdpass.h - one datagram with at most one file descriptor over AF_UNIX. The only place that knows
 * CMSG_*. All functions are thread-safe and async-signal-safe, and allocate nothing.
 */
#ifndef SSHIM_PROTO_FDPASS_H
#define SSHIM_PROTO_FDPASS_H

#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>

/*
 * Sends len_bytes bytes and, unless it is -1, fd. Borrows both descriptors. Never raises SIGPIPE.
 * flags as for sendmsg(2). Returns 0, or -1 with the errno of sendmsg(2): EAGAIN (full), EPIPE or
 * ECONNRESET (peer gone), ETOOMANYREFS (unix(7): too many descriptors in flight), ENOBUFS, ENOMEM,
 * EMSGSIZE.
 */
int fdpass_send(int socket_fd, const void *bytes, size_t len_bytes, int fd, int flags);

/* The recvmsg(2) that it calls. The library makes it that of libc: one of another preloaded library
 * may refuse descriptors, as torsocks(8) does. */
extern ssize_t (*fdpass_recvmsg)(int, struct msghdr *, int);

/*
 * Receives one datagram into bytes, and into *fd the descriptor that came along, or -1; gives it to
 * the caller. flags as for recvmsg(2); without MSG_CMSG_CLOEXEC the descriptor is inherited over
 * exec. *truncated (may be NULL) tells that the kernel dropped a descriptor (surplus, or the fd
 * table is full: Linux installs what fits and drops the rest, see unix(7)) or bytes. Returns the
 * number of bytes, 0 at end of file, or -1 with the errno of recvmsg(2).
 */
ssize_t fdpass_recv(int socket_fd, void *bytes, size_t size_bytes, int *fd, int flags,
                    int *truncated);

/*
 * Receives one datagram from a socket with SO_PASSCRED, and in *sender which process sent it, as
 * the kernel knows it: pid 0 where it does not. No descriptor is received; *had_fds (may be NULL)
 * tells that some came along. flags as for recvmsg(2); what is longer is cut. Returns the number of
 * bytes, or -1 with the errno of recvmsg(2).
 */
ssize_t fdpass_recv_from(int socket_fd, void *bytes, size_t size_bytes, struct ucred *sender,
                         int flags, int *had_fds);

#endif
