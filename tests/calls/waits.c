/* waits.c - poll, select, epoll and their variants on a listener. */
#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/wait.h>

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

    puts(" bad arguments");
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

/* What the kernel refuses of a time-out, and what libc makes of it before. */
static void bad_times(int fd, int epoll_fd)
{
    static const struct timespec times[] = {{-1, 0}, {0, -1}, {0, 1000000000}, {0, 1000000}};
    struct pollfd one = {.fd = fd, .events = POLLIN};
    struct epoll_event event;

    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        struct timeval time = {times[i].tv_sec, times[i].tv_nsec / 1000};
        fd_set set;
        FD_ZERO(&set);
        FD_SET(fd, &set);
        printf(" time-out %ld s %ld ns\n", (long)times[i].tv_sec, times[i].tv_nsec);
        SHOW(ppoll(&one, 1, &times[i], NULL));
        SHOW(pselect(fd + 1, &set, NULL, NULL, &times[i], NULL));
        SHOW(epoll_pwait2(epoll_fd, &event, 1, &times[i], NULL));
        FD_SET(fd, &set);
        if (times[i].tv_nsec == -1)
            time.tv_usec = -1;
        SHOW(select(fd + 1, &set, NULL, NULL, &time));
        printf("  left %ld s %ld us\n", (long)time.tv_sec, (long)time.tv_usec);
    }
}

static void bad_pointers(int fd, int epoll_fd)
{
    struct timespec soon = {.tv_nsec = 1000000};
    struct timeval soon_us = {.tv_usec = 1000};
    struct pollfd one = {.fd = fd, .events = POLLIN};
    struct epoll_event event;
    fd_set set;

    puts(" bad pointers");
    FD_ZERO(&set);
    FD_SET(fd, &set);
    SHOW(ppoll(&one, 1, &soon, BAD));
    SHOW(pselect(fd + 1, &set, NULL, NULL, &soon, BAD));
    SHOW(pselect(fd + 1, BAD, NULL, NULL, &soon, NULL));
    SHOW(select(fd + 1, &set, BAD, NULL, &soon_us));
    SHOW(select(fd + 1, &set, NULL, BAD, NULL));
    SHOW(epoll_wait(epoll_fd, BAD, 1, 1));
    SHOW(epoll_pwait(epoll_fd, &event, 1, 1, BAD));
    SHOW(epoll_pwait2(epoll_fd, &event, 1, &soon, BAD));
    SHOW(epoll_wait(epoll_fd, &event, -1, 1));
    SHOW(epoll_ctl(epoll_fd, EPOLL_CTL_MOD, fd, BAD));
    SHOW(epoll_ctl(epoll_fd, 77, fd, &event));
    SHOW(syscall(SYS_ppoll, &one, 1, BAD, NULL, 8));
    SHOW(syscall(SYS_pselect6, fd + 1, &set, NULL, NULL, BAD, NULL));
}

enum call { PPOLL, SELECT, PSELECT };

/* libc itself reads these time-outs: a child finds out how that ends. */
static void crashing_time(int fd, enum call call)
{
    struct pollfd one = {.fd = fd, .events = POLLIN};
    fd_set set;
    int status = 0;

    FD_ZERO(&set);
    FD_SET(fd, &set);
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        int result = call == PPOLL    ? ppoll(&one, 1, BAD, NULL)
                     : call == SELECT ? select(fd + 1, &set, NULL, NULL, BAD)
                                      : pselect(fd + 1, &set, NULL, NULL, BAD, NULL);
        _exit(result < 0 ? errno : 0);
    }
    waitpid(pid, &status, 0);
    printf(" call %d with a time-out nowhere ends with %#x\n", (int)call, (unsigned)status);
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
    SHOW(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event));
    bad_times(fd, epoll_fd);
    bad_pointers(fd, epoll_fd);
    crashing_time(fd, PPOLL);
    crashing_time(fd, SELECT);
    crashing_time(fd, PSELECT);
    close(epoll_fd);
    close(fd);
}
