/*
 * retarget.h - puts another file behind fd numbers that the program already uses, epoll
 * registrations included.
 */
#ifndef SSHIM_SHIM_BASE_RETARGET_H
#define SSHIM_SHIM_BASE_RETARGET_H

#define RETARGET_MAX 32 /* dups of one socket, and epoll registrations of it, that are followed */

/*
 * Makes fd, and every other fd of this process that refers to the same socket, refer to new_fd's
 * file (borrowed), each with its own FD_CLOEXEC, and moves their epoll registrations: deleted
 * before, added after, or the old file's events would go on (epoll(7), "Will closing a file
 * descriptor..."). Descriptors hidden by the shim are left alone. Registrations and dups are read
 * from /proc/self; without /proc only fd itself is changed.
 *
 * Writes the numbers it changed, fd first, to fds (room for RETARGET_MAX) and returns how many, or
 * -1 with the errno of dup3(2) and nothing changed. Allocates nothing.
 */
int retarget(int fd, int new_fd, int *fds);

/* Calls visit for every fd number of this process that is open, which visit may close. Without
 * /proc for none. */
void retarget_each_open_fd(void (*visit)(int fd, void *context), void *context);

#endif
