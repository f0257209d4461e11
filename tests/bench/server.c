/*
 * server.c - the reference servers.
 *
 *   server MODE ADDRESS             the unmodified single-process form, what sshim is given
 *   server -w N MODE ADDRESS        its author's own answer: N processes on one inherited listener
 *   server -w N -q blocking ADDRESS the shared queue: a parent accepts into one socketpair from
 *                                   which N children receive
 *   -x                              EPOLLEXCLUSIVE
 *   -a                              writes a byte to its output as soon as it listens
 *   -s                              does what whims.h says when it gets a signal; -k FD: that is
 *                                   its listener
 *
 * MODE: blocking    accept, serve to the end, accept
 *       epoll-one   event loop, one accept a wake-up
 *       epoll-all   event loop, accepts until EAGAIN
 *       epoll-sync  waits in epoll, then serves one connection to its end
 *       poll-sync   the same with poll, as simple servers do
 *       select-sync the same with select
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "address.h"
#include "protocol.h"
#include "serve.h"
#include "whims.h"

#define BATCH 64

static bool exclusive;

static void fail(const char *what)
{
    fprintf(stderr, "server: cannot %s: %s\n", what, strerror(errno));
    exit(1);
}

static int open_listener(const char *text, int type_flags)
{
    struct bench_address address;
    int on = 1;

    if (bench_address_parse(text, &address) < 0) {
        fprintf(stderr, "server: %s is no address\n", text);
        exit(2);
    }
    int family = address.sockaddr.ss_family;
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | type_flags, 0);
    if (fd < 0)
        fail("make a socket");
    if (family == AF_UNIX && ((struct sockaddr_un *)&address.sockaddr)->sun_path[0])
        unlink(((struct sockaddr_un *)&address.sockaddr)->sun_path);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&address.sockaddr, address.len_bytes) < 0)
        fail("bind");
    if (listen(fd, BENCH_BACKLOG) < 0)
        fail("listen");
    return fd;
}

static void run_blocking(int listener_fd)
{
    for (;;) {
        int conn_fd = accept4(listener_fd, NULL, NULL, SOCK_CLOEXEC);
        if (conn_fd >= 0)
            serve_connection(conn_fd);
        else if (errno == EMFILE)
            poll(NULL, 0, 10);
    }
}

static void watch(int epoll_fd, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.fd = fd};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

static void accept_some(int epoll_fd, int listener_fd, bool all)
{
    do {
        int conn_fd = accept4(listener_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (conn_fd < 0)
            return;
        watch(epoll_fd, conn_fd, EPOLLIN | EPOLLRDHUP);
    } while (all);
}

static void run_event_loop(int listener_fd, bool all)
{
    struct epoll_event events[BATCH];
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);

    watch(epoll_fd, listener_fd, EPOLLIN | (exclusive ? EPOLLEXCLUSIVE : 0));
    for (;;) {
        int count = epoll_wait(epoll_fd, events, BATCH, -1);
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            if (fd == listener_fd)
                accept_some(epoll_fd, fd, all);
            else if (!serve_request(fd))
                close(fd);
        }
    }
}

static void run_epoll_sync(int listener_fd)
{
    struct epoll_event event;
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);

    watch(epoll_fd, listener_fd, EPOLLIN | (exclusive ? EPOLLEXCLUSIVE : 0));
    for (;;) {
        if (epoll_wait(epoll_fd, &event, 1, -1) != 1)
            continue;
        int conn_fd = accept4(listener_fd, NULL, NULL, SOCK_CLOEXEC);
        if (conn_fd >= 0)
            serve_connection(conn_fd);
    }
}

static bool wait_by_poll(int listener_fd)
{
    struct pollfd readable = {.fd = listener_fd, .events = POLLIN};

    return poll(&readable, 1, -1) == 1;
}

static bool wait_by_select(int listener_fd)
{
    fd_set readable;

    FD_ZERO(&readable);
    FD_SET(listener_fd, &readable);
    return select(listener_fd + 1, &readable, NULL, NULL, NULL) == 1;
}

static void run_sync(int listener_fd, bool (*wait_for)(int listener_fd))
{
    for (;;) {
        if (!wait_for(listener_fd))
            continue;
        int conn_fd = accept4(listener_fd, NULL, NULL, SOCK_CLOEXEC);
        if (conn_fd >= 0)
            serve_connection(conn_fd);
    }
}

static void run_mode(const char *mode, int listener_fd)
{
    serve_init();
    if (strcmp(mode, "blocking") == 0)
        run_blocking(listener_fd);
    if (strcmp(mode, "epoll-one") == 0 || strcmp(mode, "epoll-all") == 0)
        run_event_loop(listener_fd, strcmp(mode, "epoll-all") == 0);
    if (strcmp(mode, "epoll-sync") == 0)
        run_epoll_sync(listener_fd);
    if (strcmp(mode, "poll-sync") == 0)
        run_sync(listener_fd, wait_by_poll);
    if (strcmp(mode, "select-sync") == 0)
        run_sync(listener_fd, wait_by_select);
    fprintf(stderr, "server: unknown mode %s\n", mode);
    exit(2);
}

/* --- the shared queue: one datagram, one connection ------------------------------------------- */

static void queue_put(int queue_fd, int conn_fd)
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int))];
    } control = {.head = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
    struct iovec byte = {.iov_base = (char[]){'c'}, .iov_len = 1};
    struct msghdr message = {.msg_iov = &byte,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control.room};

    memcpy(CMSG_DATA(&control.head), &conn_fd, sizeof conn_fd);
    while (sendmsg(queue_fd, &message, MSG_NOSIGNAL) < 0 && errno == EINTR)
        ;
    close(conn_fd);
}

static int queue_get(int queue_fd)
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int))];
    } control;
    char bytes[1];
    struct iovec byte = {.iov_base = bytes, .iov_len = 1};
    struct msghdr message = {.msg_iov = &byte,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = CMSG_LEN(sizeof(int))};
    int conn_fd = -1;

    if (recvmsg(queue_fd, &message, MSG_CMSG_CLOEXEC) > 0 && message.msg_controllen > 0)
        memcpy(&conn_fd, CMSG_DATA(&control.head), sizeof conn_fd);
    return conn_fd;
}

static void run_queue_child(int queue_fd)
{
    serve_init();
    for (;;) {
        int conn_fd = queue_get(queue_fd);
        if (conn_fd >= 0)
            serve_connection(conn_fd);
    }
}

static void run_queue_parent(int queue_fd, int listener_fd)
{
    for (;;) {
        int conn_fd = accept4(listener_fd, NULL, NULL, SOCK_CLOEXEC);
        if (conn_fd >= 0)
            queue_put(queue_fd, conn_fd);
    }
}

/* --- processes ---------------------------------------------------------------------------------
 */

/* True in each child. */
static bool fork_children(int count)
{
    for (int i = 0; i < count; i++) {
        pid_t pid = fork();
        if (pid < 0)
            fail("fork");
        if (pid > 0)
            continue;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        return true;
    }
    return false;
}

static void run_queue(int workers, int listener_fd)
{
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        fail("make a socket pair");
    if (fork_children(workers))
        run_queue_child(pair[1]);
    run_queue_parent(pair[0], listener_fd);
}

static void raise_fd_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int main(int argc, char **argv)
{
    int workers = 0;
    bool queue = false;
    bool announces = false;
    bool has_whims = false;
    int kept_fd = -1;
    int option;

    while ((option = getopt(argc, argv, "k:w:qxfas")) != -1) {
        switch (option) {
        case 'k': kept_fd = atoi(optarg); break;
        case 'w': workers = atoi(optarg); break;
        case 'q': queue = true; break;
        case 'x': exclusive = true; break;
        case 'f': raise_fd_limit(); break;
        case 'a': announces = true; break;
        case 's': has_whims = true; break;
        default: return 2;
        }
    }
    if (argc - optind != 2) {
        fprintf(stderr, "usage: server [-w N] [-q] [-x] [-f] [-a] [-s] MODE ADDRESS\n");
        return 2;
    }
    const char *mode = argv[optind];
    bool blocks = queue || strcmp(mode, "blocking") == 0;
    int listener_fd =
        kept_fd >= 0 ? kept_fd : open_listener(argv[optind + 1], blocks ? 0 : SOCK_NONBLOCK);
    if (has_whims)
        whims_begin(argv, listener_fd);
    if (announces && write(STDOUT_FILENO, "l", 1) != 1)
        fail("say that it listens");
    if (queue)
        run_queue(workers, listener_fd);
    if (workers == 0 || fork_children(workers))
        run_mode(mode, listener_fd);
    for (;;)
        wait(NULL);
}
