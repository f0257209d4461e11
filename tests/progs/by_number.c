/* by_number.c - a preloaded library of the kind that asks the kernel by syscall(2), as mptcpize
 * does. */
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

int socket(int domain, int type, int protocol)
{
    return (int)syscall(SYS_socket, domain, type, protocol);
}

int bind(int fd, const struct sockaddr *addr, socklen_t len)
{
    return (int)syscall(SYS_bind, fd, addr, len);
}

int listen(int fd, int backlog)
{
    return (int)syscall(SYS_listen, fd, backlog);
}

int accept(int fd, struct sockaddr *restrict addr, socklen_t *restrict len)
{
    return (int)syscall(SYS_accept4, fd, addr, len, 0);
}

int accept4(int fd, struct sockaddr *restrict addr, socklen_t *restrict len, int flags)
{
    return (int)syscall(SYS_accept4, fd, addr, len, flags);
}

int connect(int fd, const struct sockaddr *addr, socklen_t len)
{
    return (int)syscall(SYS_connect, fd, addr, len);
}

int close(int fd)
{
    return (int)syscall(SYS_close, fd);
}
