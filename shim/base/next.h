/*
 * next.h - the functions that our hooks replace: libc's, or those of another preloaded library. The
 * only caller of dlsym.
 *
 * NEXT(bind)(fd, addr, len) calls the next bind. Resolved eagerly by the constructor, and lazily
 * where a hook runs before it; a race resolves twice and stores the same pointer. A function that
 * this libc does not have gives ENOSYS.
 */
#ifndef SSHIM_SHIM_BASE_NEXT_H
#define SSHIM_SHIM_BASE_NEXT_H

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <time.h>

/* musl has one name for both sizes, and macros for the other. */
#ifdef __GLIBC__
#define NEXT_LARGE_CALLS(X)                                                                        \
    X(int, setrlimit64, (int, const struct rlimit64 *))                                            \
    X(int, prlimit64, (pid_t, int, const struct rlimit64 *, struct rlimit64 *))
#else
#define NEXT_LARGE_CALLS(X)
#undef fcntl64
#endif

#define NEXT_CALLS(X)                                                                              \
    NEXT_LARGE_CALLS(X)                                                                            \
    X(int, bind, (int, const struct sockaddr *, socklen_t))                                        \
    X(int, listen, (int, int))                                                                     \
    X(int, accept, (int, struct sockaddr *, socklen_t *))                                          \
    X(int, accept4, (int, struct sockaddr *, socklen_t *, int))                                    \
    X(int, connect, (int, const struct sockaddr *, socklen_t))                                     \
    X(int, shutdown, (int, int))                                                                   \
    X(int, socket, (int, int, int))                                                                \
    X(int, getsockname, (int, struct sockaddr *, socklen_t *))                                     \
    X(int, getpeername, (int, struct sockaddr *, socklen_t *))                                     \
    X(ssize_t, recv, (int, void *, size_t, int))                                                   \
    X(int, getsockopt, (int, int, int, void *, socklen_t *))                                       \
    X(int, setsockopt, (int, int, int, const void *, socklen_t))                                   \
    X(int, close, (int))                                                                           \
    X(int, close_range, (unsigned, unsigned, int))                                                 \
    X(void, closefrom, (int))                                                                      \
    X(int, fclose, (FILE *))                                                                       \
    X(int, dup, (int))                                                                             \
    X(int, dup2, (int, int))                                                                       \
    X(int, dup3, (int, int, int))                                                                  \
    X(int, fcntl, (int, int, ...))                                                                 \
    X(int, fcntl64, (int, int, ...))                                                               \
    X(int, ioctl, (int, unsigned long, ...))                                                       \
    X(long, syscall, (long, ...))                                                                  \
    X(int, setrlimit, (int, const struct rlimit *))                                                \
    X(int, prlimit, (pid_t, int, const struct rlimit *, struct rlimit *))                          \
    X(int, poll, (struct pollfd *, nfds_t, int))                                                   \
    X(int, ppoll, (struct pollfd *, nfds_t, const struct timespec *, const sigset_t *))            \
    X(int, __poll_chk, (struct pollfd *, nfds_t, int, size_t))                                     \
    X(int, __ppoll_chk,                                                                            \
      (struct pollfd *, nfds_t, const struct timespec *, const sigset_t *, size_t))                \
    X(int, select, (int, fd_set *, fd_set *, fd_set *, struct timeval *))                          \
    X(int, pselect,                                                                                \
      (int, fd_set *, fd_set *, fd_set *, const struct timespec *, const sigset_t *))              \
    X(int, epoll_ctl, (int, int, int, struct epoll_event *))                                       \
    X(int, epoll_wait, (int, struct epoll_event *, int, int))                                      \
    X(int, epoll_pwait, (int, struct epoll_event *, int, int, const sigset_t *))                   \
    X(int, unlink, (const char *))                                                                 \
    X(int, unlinkat, (int, const char *, int))                                                     \
    X(int, remove, (const char *))                                                                 \
    X(int, epoll_pwait2,                                                                           \
      (int, struct epoll_event *, int, const struct timespec *, const sigset_t *))                 \
    X(pid_t, fork, (void))                                                                         \
    X(void *, dlopen, (const char *, int))                                                         \
    X(int, execve, (const char *, char *const *, char *const *))                                   \
    X(int, execvpe, (const char *, char *const *, char *const *))                                  \
    X(int, fexecve, (int, char *const *, char *const *))                                           \
    X(int, execveat, (int, const char *, char *const *, char *const *, int))                       \
    X(int, posix_spawn_file_actions_adddup2, (posix_spawn_file_actions_t *, int, int))             \
    X(int, posix_spawn,                                                                            \
      (pid_t *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *,       \
       char *const *, char *const *))                                                              \
    X(int, posix_spawnp,                                                                           \
      (pid_t *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *,       \
       char *const *, char *const *))

/*
 * Calls that an older libc lacks. dlsym(3) allocates if it does not find a name, and our caller may
 * be an allocator that is being set up: so these are looked up when the program calls them.
 */
#define NEXT_NEW_CALLS(X)                                                                          \
    X(int, pidfd_spawn,                                                                            \
      (int *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *,         \
       char *const *, char *const *))                                                              \
    X(int, pidfd_spawnp,                                                                           \
      (int *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *,         \
       char *const *, char *const *))

struct next_table {
#define X(type, name, args) type(*name) args;
    NEXT_CALLS(X)
    NEXT_NEW_CALLS(X)
#undef X
};

extern struct next_table next_table;

/* Resolves every entry. Thread-safe. dlsym(3) is not async-signal-safe; the constructor has run
 * before any handler. */
void next_resolve(void);

/*
 * Whether this code belongs to a library behind us, one whose functions NEXT() calls. What such a
 * library asks of syscall(2) is for the kernel: our hook has been passed already. No system call.
 */
bool next_is_behind(const void *code);

#define NEXT(name)                                                                                 \
    (*(__builtin_expect(__atomic_load_n(&next_table.name, __ATOMIC_ACQUIRE) == NULL, 0)            \
           ? (next_resolve(), &next_table.name)                                                    \
           : &next_table.name))

/* The next function of NEXT_NEW_CALLS. dlsym(3) at each call. */
#define NEXT_NEW(name) (next_table.name = next_find(#name))
void *next_find(const char *name);

#define SSHIM_EXPORT __attribute__((visibility("default")))

#endif
