/* preload.c - a second preloaded library, of the kind that counts calls: passes everything on. */
#include <dlfcn.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

unsigned preload_calls;

/* A test sets these to hold a thread up before and after a call of epoll_ctl(2). */
void (*preload_before_epoll_ctl)(int operation, int fd);
void (*preload_after_epoll_ctl)(int operation, int fd);

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

int epoll_ctl(int epoll_fd, int operation, int fd, struct epoll_event *event)
{
    static int (*next)(int, int, int, struct epoll_event *);

    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "epoll_ctl");
    if (preload_before_epoll_ctl)
        preload_before_epoll_ctl(operation, fd);
    int result = next(epoll_fd, operation, fd, event);
    if (preload_after_epoll_ctl)
        preload_after_epoll_ctl(operation, fd);
    return result;
}
