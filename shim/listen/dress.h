/* dress.h - a channel behaves as the program's socket did. Both functions borrow their fds. */
#ifndef SSHIM_SHIM_LISTEN_DRESS_H
#define SSHIM_SHIM_LISTEN_DRESS_H

/* Who gets SIGIO, and which signal it is (fcntl(2), F_SETOWN_EX, F_SETSIG). */
void dress_copy_async(int from_fd, int to_fd);

/* What a program may have set on its socket and expects of the fd: status flags, the time-out of
 * accept, who gets SIGIO. */
void dress_channel(int channel_fd, int fd, int status_flags);

#endif
