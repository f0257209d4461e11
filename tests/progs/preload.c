/* preload.c - a second preloaded library, of the kind that counts calls: passes everything on. */
#include <dlfcn.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

unsigned preload_calls;

#define PASS_ON(type, name, parameters, arguments)                                                 \
    type name parameters                                                                           \
    {                                                                                              \
        static type(*next) parameters;                                                             \
        if (!next)                                                                                 \
            *(void **)&next = dlsym(RTLD_NEXT, #name);                                             \
        preload_calls++;                                                                           \
        return next arguments;                                                                     \
    }

PASS_ON(int, socket, (int domain, int type, int protocol), (domain, type, protocol))
PASS_ON(int, bind, (int fd, const struct sockaddr *addr, socklen_t len), (fd, addr, len))
PASS_ON(int, listen, (int fd, int backlog), (fd, backlog))
PASS_ON(int, accept, (int fd, struct sockaddr *restrict addr, socklen_t *restrict len),
        (fd, addr, len))
PASS_ON(int, accept4, (int fd, struct sockaddr *restrict addr, socklen_t *restrict len, int flags),
        (fd, addr, len, flags))
PASS_ON(int, close, (int fd), (fd))
PASS_ON(int, dup2, (int fd, int new_fd), (fd, new_fd))
PASS_ON(int, epoll_wait, (int fd, struct epoll_event *events, int max, int timeout),
        (fd, events, max, timeout))
