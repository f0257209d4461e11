/* hooks.h - exported calls that headers of some libc versions do not declare. */
#ifndef SSHIM_SHIM_HOOKS_HOOKS_H
#define SSHIM_SHIM_HOOKS_HOOKS_H

#include <spawn.h>
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

/* musl has no execveat; the other two are of glibc 2.39. */
int execveat(int folder_fd, const char *path, char *const argv[], char *const envp[], int flags);
int pidfd_spawn(int *restrict pidfd, const char *restrict path,
                const posix_spawn_file_actions_t *restrict actions,
                const posix_spawnattr_t *restrict attributes, char *const argv[],
                char *const envp[]);
int pidfd_spawnp(int *restrict pidfd, const char *restrict file,
                 const posix_spawn_file_actions_t *restrict actions,
                 const posix_spawnattr_t *restrict attributes, char *const argv[],
                 char *const envp[]);

/* --- syscall(2) by number --- */

struct raw_arguments {
    long at[6];
};

#define raw_call(number, a)                                                                        \
    NEXT(syscall)                                                                                  \
    (number, (a)->at[0], (a)->at[1], (a)->at[2], (a)->at[3], (a)->at[4], (a)->at[5])

/* A waiting call of this number: makes it with the hint around it, and returns what the kernel does
 * (-1 with errno). For any other call, and while this process has no shared listener, nothing is
 * made and *known becomes 0. */
long wait_by_number(long number, const struct raw_arguments *a, int *known);

#endif
