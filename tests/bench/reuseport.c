/* reuseport.c - the ten-line preload: every copy binds the same port and the kernel spreads. */
#include <dlfcn.h>
#include <sys/socket.h>

int bind(int fd, const struct sockaddr *addr, socklen_t len)
{
    int (*next)(int, const struct sockaddr *, socklen_t) = dlsym(RTLD_NEXT, "bind");
    int on = 1;

    if (addr->sa_family == AF_INET || addr->sa_family == AF_INET6)
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    return next(fd, addr, len);
}
