/*
 * hooks_syscall.c - syscall(2): some programs make socket and close calls by number (libuv closes
 * so, jemalloc calls this before any constructor). Those we care about go the way of the named
 * call; all others straight on. So does what
 * a library behind us asks, which implements by syscall() the call that a hook of ours has passed
 * on: it would come back to that hook for ever.
 */
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shim/base/env.h"
#include "shim/base/next.h"
#include "shim/base/userptr.h"
#include "shim/hooks/hooks.h"
#include "shim/record/vlisten.h"

/* Calls that only change how the program goes on. */
static long other_by_name(long number, const struct raw_arguments *a, int *known)
{
    int fd = (int)a->at[0];
    char *path = (char *)a->at[0];

    *known = 1;
    switch (number) {
    case SYS_ioctl: return ioctl(fd, (unsigned)a->at[1], a->at[2]);
    case SYS_epoll_ctl:
        return epoll_ctl(fd, (int)a->at[1], (int)a->at[2], (struct epoll_event *)a->at[3]);
    case SYS_unlinkat: return unlinkat(fd, (const char *)a->at[1], (int)a->at[2]);
    case SYS_execveat:
        return execveat(fd, (const char *)a->at[1], (char *const *)a->at[2],
                        (char *const *)a->at[3], (int)a->at[4]);
    case SYS_execve: return execve(path, (char *const *)a->at[1], (char *const *)a->at[2]);
    case SYS_prlimit64:
        return prlimit(fd, (int)a->at[1], (const struct rlimit *)a->at[2],
                       (struct rlimit *)a->at[3]);
#ifdef SYS_unlink
    case SYS_unlink: return unlink(path);
#endif
    default: return wait_by_number(number, a, known);
    }
}

static long by_name(long number, const struct raw_arguments *a, int *known)
{
    int fd = (int)a->at[0];
    void *pointer = (void *)a->at[1];
    socklen_t *len = (socklen_t *)a->at[2];

    *known = 1;
    switch (number) {
    case SYS_close: return close(fd);
    case SYS_close_range: return close_range((unsigned)a->at[0], (unsigned)a->at[1], (int)a->at[2]);
    case SYS_dup: return dup(fd);
    case SYS_dup3: return dup3(fd, (int)a->at[1], (int)a->at[2]);
    case SYS_fcntl: return fcntl(fd, (int)a->at[1], a->at[2]);
#ifdef SYS_fcntl64
    case SYS_fcntl64: return fcntl64(fd, (int)a->at[1], a->at[2]);
#endif
    case SYS_socket: return socket(fd, (int)a->at[1], (int)a->at[2]);
    case SYS_bind: return bind(fd, pointer, (socklen_t)a->at[2]);
    case SYS_listen: return listen(fd, (int)a->at[1]);
#ifdef SYS_accept /* not everywhere */
    case SYS_accept: return accept(fd, pointer, len);
#endif
    case SYS_accept4: return accept4(fd, pointer, len, (int)a->at[3]);
    case SYS_connect: return connect(fd, pointer, (socklen_t)a->at[2]);
    case SYS_shutdown: return shutdown(fd, (int)a->at[1]);
    case SYS_getsockname: return getsockname(fd, pointer, len);
    case SYS_getpeername: return getpeername(fd, pointer, len);
    case SYS_getsockopt:
        return getsockopt(fd, (int)a->at[1], (int)a->at[2], (void *)a->at[3],
                          (socklen_t *)a->at[4]);
    case SYS_setsockopt:
        return setsockopt(fd, (int)a->at[1], (int)a->at[2], (void *)a->at[3], (socklen_t)a->at[4]);
#ifdef SYS_dup2
    case SYS_dup2: return dup2(fd, (int)a->at[1]);
#endif
    default: return other_by_name(number, a, known);
    }
}

#ifdef __s390x__ /* has the stack in front */
#define CLONE_FLAGS_AT 1
#else
#define CLONE_FLAGS_AT 0
#endif

/* The flags of a clone(2) or clone3(2); CLONE_VM: it is neither, or will fail. */
static uint64_t get_clone_flags(long number, const struct raw_arguments *a)
{
    const void *arguments = (const void *)a->at[0]; /* struct clone_args begins with them */
    uint64_t flags = CLONE_VM;

    if (number == SYS_clone)
        flags = (uint64_t)a->at[CLONE_FLAGS_AT];
    if (number == SYS_clone3 && userptr_is_readable(arguments, sizeof flags, USERPTR_OTHER))
        memcpy(&flags, arguments, sizeof flags);
    return flags;
}

/* Whether it makes a child with memory of its own, which no atfork handler would hear of. */
static bool is_fork(long number, const struct raw_arguments *a)
{
#ifdef SYS_fork
    if (number == SYS_fork)
        return true;
#endif
    return (number == SYS_clone || number == SYS_clone3) &&
           !(get_clone_flags(number, a) & CLONE_VM);
}

static long fork_by_number(long number, const struct raw_arguments *a)
{
    vlisten_before_fork();
    long result = raw_call(number, a);
    if (result == 0)
        vlisten_on_fork();
    if (result < 0)
        vlisten_on_fork_failure();
    return result;
}

SSHIM_EXPORT long syscall(long number, ...)
{
    struct raw_arguments a;
    va_list list;
    int known = 0;

    /* Six registers, whether the caller filled them or not: they are passed on, never looked at. */
    va_start(list, number);
    for (size_t i = 0; i < 6; i++)
        a.at[i] = va_arg(list, long);
    va_end(list);
    if (env_managed() && !next_is_behind(__builtin_return_address(0))) {
        if (is_fork(number, &a))
            return fork_by_number(number, &a);
        long result = by_name(number, &a, &known);
        if (known)
            return result;
    }
    return raw_call(number, &a);
}
