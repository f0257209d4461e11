/* A library to preload: says on stderr which calls for waiting and accepting a program makes
 * through libc. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

int accept4(int fd, struct sockaddr *restrict address, socklen_t *restrict len, int flags)
{
    int (*next)(int, struct sockaddr *, socklen_t *, int) = dlsym(RTLD_NEXT, "accept4");
    dprintf(2, "accept4\n");
    return next(fd, address, len, flags);
}

int epoll_ctl(int epoll_fd, int op, int fd, struct epoll_event *event)
{
    int (*next)(int, int, int, struct epoll_event *) = dlsym(RTLD_NEXT, "epoll_ctl");
    dprintf(2, "epoll_ctl %s\n", op == EPOLL_CTL_ADD ? "add" : op == EPOLL_CTL_DEL ? "del" : "mod");
    return next(epoll_fd, op, fd, event);
}

int epoll_wait(int epoll_fd, struct epoll_event *events, int max, int timeout)
{
    int (*next)(int, struct epoll_event *, int, int) = dlsym(RTLD_NEXT, "epoll_wait");
    dprintf(2, "epoll wait\n");
    return next(epoll_fd, events, max, timeout);
}

int epoll_pwait(int epoll_fd, struct epoll_event *events, int max, int timeout,
                const sigset_t *mask)
{
    int (*next)(int, struct epoll_event *, int, int, const sigset_t *) =
        dlsym(RTLD_NEXT, "epoll_pwait");
    dprintf(2, "epoll wait\n");
    return next(epoll_fd, events, max, timeout, mask);
}

int epoll_pwait2(int epoll_fd, struct epoll_event *events, int max, const struct timespec *timeout,
                 const sigset_t *mask)
{
    int (*next)(int, struct epoll_event *, int, const struct timespec *, const sigset_t *) =
        dlsym(RTLD_NEXT, "epoll_pwait2");
    dprintf(2, "epoll wait\n");
    return next(epoll_fd, events, max, timeout, mask);
}

long syscall(long number, ...)
{
    long (*next)(long, ...) = dlsym(RTLD_NEXT, "syscall");
    long args[6];
    va_list list;

    va_start(list, number);
    for (int i = 0; i < 6; i++)
        args[i] = va_arg(list, long);
    va_end(list);
    if (number == SYS_epoll_wait || number == SYS_epoll_pwait || number == SYS_epoll_pwait2)
        dprintf(2, "epoll wait\n");
    if (number == SYS_io_uring_enter)
        dprintf(2, "io_uring_enter\n");
    return next(number, args[0], args[1], args[2], args[3], args[4], args[5]);
}
