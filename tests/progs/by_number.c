/*
 * by_number.c - a preloaded library of the kind that asks the kernel by syscall(2), as mptcpize
 * does. An optimising compiler ends each of these functions by a jump to syscall(), which then
 * returns past this library.
 */
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* syscall(), of the functions' own type: gcc makes a jump of no other call. */
extern int by_number(long number, ...) __asm__("syscall");

int socket(int domain, int type, int protocol)
{
    return by_number(SYS_socket, domain, type, protocol);
}

int bind(int fd, const struct sockaddr *addr, socklen_t len)
{
    return by_number(SYS_bind, fd, addr, len);
}

int listen(int fd, int backlog)
{
    return by_number(SYS_listen, fd, backlog);
}

int accept(int fd, struct sockaddr *restrict addr, socklen_t *restrict len)
{
    return by_number(SYS_accept4, fd, addr, len, 0);
}

int accept4(int fd, struct sockaddr *restrict addr, socklen_t *restrict len, int flags)
{
    return by_number(SYS_accept4, fd, addr, len, flags);
}

int connect(int fd, const struct sockaddr *addr, socklen_t len)
{
    return by_number(SYS_connect, fd, addr, len);
}

int close(int fd)
{
    return by_number(SYS_close, fd);
}

int shutdown(int fd, int how)
{
    return by_number(SYS_shutdown, fd, how);
}

int dup(int fd)
{
    return by_number(SYS_dup, fd);
}

int epoll_ctl(int epoll_fd, int operation, int fd, struct epoll_event *event)
{
    return by_number(SYS_epoll_ctl, epoll_fd, operation, fd, event);
}

int epoll_wait(int epoll_fd, struct epoll_event *events, int count, int timeout_ms)
{
    return by_number(SYS_epoll_pwait, epoll_fd, events, count, timeout_ms, NULL, 8L);
}

int getsockname(int fd, struct sockaddr *restrict addr, socklen_t *restrict len)
{
    return by_number(SYS_getsockname, fd, addr, len);
}
