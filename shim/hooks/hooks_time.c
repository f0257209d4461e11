/*
 * hooks_time.c - the second names that glibc has on 32-bit machines for calls with a time in
 * them: a program that is built with -D_TIME_BITS=64 calls those. A time-out is made narrow, and
 * the call goes the way of its first name.
 */
#include "shim/base/next.h"

#if defined __GLIBC__ && __TIMESIZE == 32
#include <stdarg.h>
#include <stdint.h>
#include <sys/ioctl.h>

#include "shim/hooks/hooks.h"

/* As the program has them: suseconds_t is wide as well, and what follows tv_nsec is padding. */
struct wide_timeval {
    int64_t tv_sec, tv_usec;
};

struct wide_timespec {
    int64_t tv_sec;
    long tv_nsec, padding;
};

int __select64(int count, fd_set *readable, fd_set *writable, fd_set *urgent,
               struct wide_timeval *timeout);
int __pselect64(int count, fd_set *readable, fd_set *writable, fd_set *urgent,
                const struct wide_timespec *timeout, const sigset_t *mask);
int __ppoll64(struct pollfd *fds, nfds_t count, const struct wide_timespec *timeout,
              const sigset_t *mask);
int __ppoll64_chk(struct pollfd *fds, nfds_t count, const struct wide_timespec *timeout,
                  const sigset_t *mask, size_t size_bytes);
int __epoll_pwait2_time64(int epoll_fd, struct epoll_event *events, int max,
                          const struct wide_timespec *timeout, const sigset_t *mask);
int __fcntl_time64(int fd, int command, ...);
int __ioctl_time64(int fd, unsigned long request, ...);
int __getsockopt64(int fd, int level, int name, void *value, socklen_t *len);
int __setsockopt64(int fd, int level, int name, const void *value, socklen_t len);

/* 68 years are as long as no program waits. */
static time_t narrow_seconds(int64_t seconds)
{
    return seconds > INT32_MAX ? INT32_MAX : seconds < INT32_MIN ? INT32_MIN : (time_t)seconds;
}

/* A time-out that is no time is the kernel's to refuse. */
static const struct timespec *narrow(const struct wide_timespec *wide, struct timespec *room)
{
    if (!wide)
        return NULL;
    *room = (struct timespec){narrow_seconds(wide->tv_sec), wide->tv_nsec};
    return room;
}

SSHIM_EXPORT int __select64(int count, fd_set *readable, fd_set *writable, fd_set *urgent,
                            struct wide_timeval *timeout)
{
    if (!timeout)
        return select(count, readable, writable, urgent, NULL);
    int64_t us = timeout->tv_usec;
    struct timeval left = {narrow_seconds(timeout->tv_sec + us / 1000000),
                           (suseconds_t)(us % 1000000)};
    int ready = select(count, readable, writable, urgent, &left);

    *timeout = (struct wide_timeval){left.tv_sec, left.tv_usec};
    return ready;
}

SSHIM_EXPORT int __pselect64(int count, fd_set *readable, fd_set *writable, fd_set *urgent,
                             const struct wide_timespec *timeout, const sigset_t *mask)
{
    struct timespec room;

    return pselect(count, readable, writable, urgent, narrow(timeout, &room), mask);
}

SSHIM_EXPORT int __ppoll64(struct pollfd *fds, nfds_t count, const struct wide_timespec *timeout,
                           const sigset_t *mask)
{
    struct timespec room;

    return ppoll(fds, count, narrow(timeout, &room), mask);
}

SSHIM_EXPORT int __ppoll64_chk(struct pollfd *fds, nfds_t count,
                               const struct wide_timespec *timeout, const sigset_t *mask,
                               size_t size_bytes)
{
    struct timespec room;

    return __ppoll_chk(fds, count, narrow(timeout, &room), mask, size_bytes);
}

SSHIM_EXPORT int __epoll_pwait2_time64(int epoll_fd, struct epoll_event *events, int max,
                                       const struct wide_timespec *timeout, const sigset_t *mask)
{
    struct timespec room;

    return epoll_pwait2(epoll_fd, events, max, narrow(timeout, &room), mask);
}

/* No time is in what concerns a listener. */
SSHIM_EXPORT int __fcntl_time64(int fd, int command, ...)
{
    va_list arguments;

    va_start(arguments, command);
    unsigned long argument = va_arg(arguments, unsigned long);
    va_end(arguments);
    return fcntl64(fd, command, argument);
}

SSHIM_EXPORT int __ioctl_time64(int fd, unsigned long request, ...)
{
    va_list arguments;

    va_start(arguments, request);
    unsigned long argument = va_arg(arguments, unsigned long);
    va_end(arguments);
    return ioctl(fd, request, argument);
}

/* The numbers of options with a time in them are other ones in such a program: see
 * hooks_socket.c. */
SSHIM_EXPORT int __getsockopt64(int fd, int level, int name, void *value, socklen_t *len)
{
    return getsockopt(fd, level, name, value, len);
}

SSHIM_EXPORT int __setsockopt64(int fd, int level, int name, const void *value, socklen_t len)
{
    return setsockopt(fd, level, name, value, len);
}
#endif
