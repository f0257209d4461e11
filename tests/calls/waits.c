/* waits.c - poll, select, epoll and their variants on a listener. */
#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>

#include "calls.h"

static void show_poll(int fd, const char *when)
{
    struct pollfd all = {.fd = fd, .events = POLLIN | POLLPRI | POLLRDHUP | POLLRDNORM};
    struct timespec soon = {.tv_nsec = 1000000};
    fd_set set;

    printf(" %s\n", when);
    SHOW(poll(&all, 1, 5));
    printf("  events %#x\n", (unsigned)all.revents);
    all.revents = 0;
    SHOW(ppoll(&all, 1, &soon, NULL));
    printf("  events %#x\n", (unsigned)all.revents);
    FD_ZERO(&set);
    FD_SET(fd, &set);
    SHOW(select(fd + 1, &set, NULL, NULL, &(struct timeval){.tv_usec = 1000}));
    printf("  set %d\n", FD_ISSET(fd, &set) != 0);
    FD_SET(fd, &set);
    SHOW(pselect(fd + 1, &set, NULL, NULL, &soon, NULL));
    FD_ZERO(&set);
    FD_SET(fd, &set);
    SHOW(select(fd + 1, NULL, NULL, &set, &(struct timeval){0}));
}

static void show_epoll(int epoll_fd, const char *when)
{
    struct epoll_event event = {0};
    struct timespec soon = {.tv_nsec = 1000000};

    printf(" %s\n", when);
    SHOW(epoll_wait(epoll_fd, &event, 1, 5));
    printf("  events %#x, data %#llx\n", (unsigned)event.events,
           (unsigned long long)event.data.u64);
    SHOW(epoll_pwait(epoll_fd, &event, 1, 0, NULL));
    SHOW(epoll_pwait2(epoll_fd, &event, 1, &soon, NULL));
}

static void bad_arguments(int fd, int epoll_fd)
{
    struct pollfd one = {.fd = fd, .events = POLLIN};
    struct epoll_event event;
    fd_set set;

    puts(" bad arguments"); /* a bad time-out crashes in libc itself */
    FD_ZERO(&set);
    FD_SET(fd, &set);
    SHOW(poll(BAD, 1, 1));
    SHOW(poll(&one, (nfds_t)-1, 1));
    SHOW(ppoll(BAD, 1, NULL, NULL));
    SHOW(select(fd + 1, BAD, NULL, NULL, NULL));
    SHOW(select(-1, &set, NULL, NULL, NULL));
    SHOW(epoll_wait(-1, &event, 1, 1));
    SHOW(epoll_wait(fd, &event, 1, 1));
    SHOW(epoll_wait(epoll_fd, &event, 0, 1));
    SHOW(epoll_pwait2(epoll_fd, &event, 1, BAD, NULL));
    SHOW(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event));
    SHOW(epoll_ctl(epoll_fd, EPOLL_CTL_DEL, fd, NULL));
    SHOW(epoll_ctl(epoll_fd, EPOLL_CTL_DEL, fd, NULL));
}

void cases_waits(void)
{
    int fd = inet_bound();
    int epoll_fd = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = 77};

    puts("waiting");
    SHOW(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event));
    SHOW(listen(fd, 16));
    show_poll(fd, "nothing there");
    show_epoll(epoll_fd, "nothing there");
    int client_fd = client_of(fd);
    show_poll(fd, "one there");
    show_epoll(epoll_fd, "one there");
    int conn_fd = (int)SHOW(accept(fd, NULL, NULL));
    show_poll(fd, "none again");
    show_epoll(epoll_fd, "none again");
    close(conn_fd);
    close(client_fd);
    bad_arguments(fd, epoll_fd);
    close(epoll_fd);
    close(fd);
}
