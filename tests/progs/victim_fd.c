/* victim_fd.c - servers that do strange things with the number of their listener. */
#define FIRST_PRIVATE 200
#include <sys/syscall.h>

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>

#include "victim.h"

int fcntl64(int fd, int command, ...);

static void on_number(int port, int number)
{
    close(number); /* socket() gives the lowest free number */
    int fd = make_socket();
    CHECK(fd == number);
    MUST(try_bind(fd, port));
    MUST(listen(fd, 64));
    serve(fd);
}

static void on_fd_0(int port, const char *argument)
{
    (void)argument;
    on_number(port, 0);
}

static void on_fd_1(int port, const char *argument)
{
    (void)argument;
    on_number(port, 1);
}

static void on_fd_2(int port, const char *argument)
{
    (void)argument;
    on_number(port, 2);
}

/* inetd "wait": the listener on 0, 1 and 2. */
static void on_all_three(int port, const char *argument)
{
    int fd = make_listener(port);
    (void)argument;
    for (int i = 0; i < 3; i++)
        MUST(dup2(fd, i));
    MUST(close(fd));
    serve(0);
}

static void close_by_loop(int port, const char *argument)
{
    (void)argument;
    for (int fd = 3; fd < 1024; fd++)
        close(fd);
    serve(make_listener(port));
}

static void close_by_range(int port, const char *argument)
{
    (void)argument;
    MUST(close_range(3, ~0U, 0));
    serve(make_listener(port));
}

static void close_by_closefrom(int port, const char *argument)
{
    (void)argument;
    closefrom(3);
    serve(make_listener(port));
}

static void close_by_number(int port, const char *argument)
{
    (void)argument;
    for (int fd = 3; fd < 1024; fd++)
        syscall(SYS_close, fd);
    serve(make_listener(port));
}

/* The same once the listener is there: what belongs to it must survive. */
static int keep_low(int port)
{
    int fd = make_listener(port);
    CHECK(fd < 10);
    return fd;
}

static void close_above_loop(int port, const char *argument)
{
    bool was_open[1024];
    (void)argument;
    for (int fd = 0; fd < 1024; fd++)
        was_open[fd] = fcntl(fd, F_GETFD) >= 0;
    int keep = keep_low(port);
    for (int fd = keep + 1; fd < 1024; fd++)
        CHECK(close(fd) == (was_open[fd] ? 0 : -1));
    serve(keep);
}

static void close_above_range(int port, const char *argument)
{
    int keep = keep_low(port);
    (void)argument;
    MUST(close_range((unsigned)keep + 1, ~0U, 0));
    serve(keep);
}

static void close_above_range_number(int port, const char *argument)
{
    int keep = keep_low(port);
    (void)argument;
    MUST(syscall(SYS_close_range, keep + 1, ~0U, 0));
    serve(keep);
}

static void close_above_closefrom(int port, const char *argument)
{
    int keep = keep_low(port);
    (void)argument;
    closefrom(keep + 1);
    serve(keep);
}

static void close_above_number(int port, const char *argument)
{
    int keep = keep_low(port);
    (void)argument;
    for (int fd = keep + 1; fd < 1024; fd++)
        syscall(SYS_close, fd);
    serve(keep);
}

/* close_range that only marks: harmless here, and the listener goes on. */
static void mark_range(int port, const char *argument)
{
    int fd = make_listener(port);
    (void)argument;
    MUST(close_range(3, ~0U, CLOSE_RANGE_CLOEXEC));
    CHECK(fcntl(fd, F_GETFD) == FD_CLOEXEC);
    serve(fd);
}

/* Closed inside libc, then bound again. */
static void close_by_fclose(int port, const char *argument)
{
    int fd = make_listener(port);
    FILE *stream = fdopen(fd, "r+");
    (void)argument;
    CHECK(stream);
    CHECK(fclose(stream) == 0);
    CHECK(fcntl(fd, F_GETFD) < 0 && errno == EBADF);
    serve(make_listener(port));
}

static void close_and_again(int port, const char *argument)
{
    (void)argument;
    for (int i = 0; i < 100; i++)
        MUST(close(make_listener(port)));
    serve(make_listener(port));
}

static void swap_by_dup(int port, const char *argument)
{
    int fd = make_listener(port);
    int copy = MUST(dup(fd));
    (void)argument;
    MUST(close(fd));
    serve(copy);
}

static void dup_before_bind(int port, const char *argument)
{
    int fd = make_socket();
    int copy = MUST(dup(fd));
    (void)argument;
    MUST(try_bind(fd, port));
    MUST(listen(copy, 64));
    MUST(close(fd));
    serve(copy);
}

static void dup2_away(int port, const char *argument)
{
    int fd = make_listener(port);
    (void)argument;
    CHECK(dup2(fd, 100) == 100);
    CHECK(dup2(fd, fd) == fd);
    MUST(close(fd));
    serve(100);
}

/* Java's way to close: a dummy is put over the listener, then the address is bound again. */
static void dup2_over(int port, const char *argument)
{
    int pair[2];
    int fd = make_listener(port);
    (void)argument;
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
    CHECK(dup2(pair[0], fd) == fd);
    struct sockaddr_storage peer;
    CHECK(accept_one(fd, &peer) < 0 && errno == EINVAL);
    serve(make_listener(port));
}

static void dup3_away(int port, const char *argument)
{
    int fd = make_listener(port);
    (void)argument;
    CHECK(dup3(fd, fd, 0) < 0 && errno == EINVAL);
    CHECK(dup3(fd, 101, O_CLOEXEC) == 101);
    CHECK(fcntl(101, F_GETFD) == FD_CLOEXEC);
    MUST(close(fd));
    serve(101);
}

static void dup3_over(int port, const char *argument)
{
    int fd = make_listener(port);
    (void)argument;
    CHECK(dup3(1, fd, 0) == fd);
    MUST(close(fd));
    serve(make_listener(port));
}

static bool is_bad(long result)
{
    return result == -1 && errno == EBADF;
}

/* Each call about sockets says of this number what it says of one that is not open. */
static void must_be_bad(int fd, int epoll_fd)
{
    struct sockaddr_storage addr = {.ss_family = AF_INET};
    struct epoll_event event = {.events = EPOLLIN};
    socklen_t len = sizeof addr;
    int value = 1;
    char byte;

    CHECK(is_bad(getsockname(fd, (struct sockaddr *)&addr, &len)));
    CHECK(is_bad(getpeername(fd, (struct sockaddr *)&addr, &len)));
    CHECK(is_bad(getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &(socklen_t){sizeof value})));
    CHECK(is_bad(getsockopt(fd, SOL_SOCKET, SO_ERROR, &value, &(socklen_t){sizeof value})));
    CHECK(is_bad(setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &value, sizeof value)));
    CHECK(is_bad(bind(fd, (struct sockaddr *)&addr, sizeof(struct sockaddr_in))));
    CHECK(is_bad(connect(fd, (struct sockaddr *)&addr, sizeof(struct sockaddr_in))));
    CHECK(is_bad(listen(fd, 1)) && is_bad(shutdown(fd, SHUT_RDWR)));
    CHECK(is_bad(accept(fd, NULL, NULL)) && is_bad(accept4(fd, NULL, NULL, SOCK_CLOEXEC)));
    CHECK(is_bad(recv(fd, &byte, 1, MSG_DONTWAIT)));
    CHECK(is_bad(fcntl(fd, F_GETFD)) && is_bad(fcntl(fd, F_DUPFD, 0)));
    CHECK(is_bad(ioctl(fd, FIONBIO, &value)) && is_bad(ioctl(fd, FIOCLEX)));
    CHECK(is_bad(dup(fd)) && is_bad(dup2(fd, fd + 1)) && is_bad(dup3(fd, fd + 1, 0)));
    CHECK(is_bad(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event)));
    CHECK(is_bad(syscall(SYS_getsockname, fd, &addr, &len)) && is_bad(syscall(SYS_listen, fd, 1)));
    CHECK(is_bad(close(fd)));
}

/* uWSGI at a reload: what is open and has the right name is an inherited listener. */
static void nothing_is_seen(int port, const char *argument)
{
    bool was_open[1024];
    int epoll_fd = MUST(epoll_create1(0));
    (void)argument;
    for (int fd = 0; fd < 1024; fd++)
        was_open[fd] = fcntl(fd, F_GETFD) >= 0;
    int keep = keep_low(port);
    for (int fd = 0; fd < 1024; fd++)
        if (fd != keep && !was_open[fd])
            must_be_bad(fd, epoll_fd);
    serve(keep);
}

/* The program's own file on each number that may be hidden. */
static void dup2_on_hidden(int port, const char *argument)
{
    int fd = make_listener(port);
    (void)argument;
    for (int i = 900; i < 1024; i++)
        CHECK(dup2(1, i) == i);
    for (int i = 900; i < 1024; i++)
        CHECK(fcntl(i, F_GETFD) == 0);
    for (int i = 900; i < 1024; i++)
        MUST(close(i));
    serve(fd);
}

static void by_dupfd(int port, const char *argument)
{
    int fd = make_listener(port);
    int copy = MUST(fcntl(fd, F_DUPFD, FIRST_PRIVATE));
    (void)argument;
    CHECK(copy >= FIRST_PRIVATE && fcntl(copy, F_GETFD) == 0);
    MUST(close(fd));
    serve(copy);
}

static void by_dupfd_cloexec(int port, const char *argument)
{
    int fd = make_listener(port);
    int copy = MUST(fcntl(fd, F_DUPFD_CLOEXEC, FIRST_PRIVATE));
    (void)argument;
    CHECK(copy >= FIRST_PRIVATE && fcntl(copy, F_GETFD) == FD_CLOEXEC);
    MUST(close(fd));
    serve(copy);
}

static void by_fcntl64(int port, const char *argument)
{
    int fd = make_listener(port);
    int copy = MUST(fcntl64(fd, F_DUPFD, FIRST_PRIVATE));
    (void)argument;
    MUST(close(fd));
    MUST(fcntl64(copy, F_SETFL, fcntl64(copy, F_GETFL) | O_NONBLOCK));
    CHECK(fcntl(copy, F_GETFL) & O_NONBLOCK);
    serve(copy);
}

/* tcpserver: fd 0 is closed, accept must give the lowest free number. */
static void accept_gives_lowest(int port, const char *argument)
{
    struct sockaddr_storage peer;
    int fd = make_listener(port);
    (void)argument;
    close(0);
    for (;;) {
        int conn_fd = MUST(accept_one(fd, &peer));
        CHECK(conn_fd == 0);
        answer(conn_fd, &peer);
    }
}

#define CLOSERS 2
#define CLOSE_ROUNDS 400
#define SPINS 2000

static atomic_int closers_ready;

static void *close_with_others(void *fd)
{
    atomic_fetch_add(&closers_ready, 1);
    for (int i = 0; atomic_load(&closers_ready) < CLOSERS; i++)
        if (i > SPINS)
            sched_yield();
    MUST(close((int)(intptr_t)fd));
    return NULL;
}

static const char *fd_path(int fd)
{
    static char path[48];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return path;
}

static int count_open(void)
{
    int count = 0;
    for (int fd = 0; fd < 1024; fd++)
        count += faccessat(AT_FDCWD, fd_path(fd), F_OK, 0) == 0;
    return count;
}

/* Exactly one of the threads is the last: what is hidden behind the listener goes with it. */
static void close_at_once(int port, const char *argument)
{
    int before = count_open();
    (void)argument;
    for (int round = 0; round < CLOSE_ROUNDS; round++) {
        int fd = make_bound(port); /* not listening: it counts as ready only after this */
        pthread_t threads[CLOSERS];
        atomic_store(&closers_ready, 0);
        for (int i = 0; i < CLOSERS; i++) {
            int copy = i == 0 ? fd : MUST(dup(fd));
            CHECK(pthread_create(&threads[i], NULL, close_with_others, (void *)(intptr_t)copy) ==
                  0);
        }
        for (int i = 0; i < CLOSERS; i++)
            pthread_join(threads[i], NULL);
    }
    CHECK(count_open() == before);
    serve(make_listener(port));
}

static const struct victim_mode modes[] = {
    {"fd0", on_fd_0},
    {"fd1", on_fd_1},
    {"fd2", on_fd_2},
    {"fd012", on_all_three},
    {"close-loop", close_by_loop},
    {"close-range", close_by_range},
    {"closefrom", close_by_closefrom},
    {"close-number", close_by_number},
    {"close-above-loop", close_above_loop},
    {"close-above-range", close_above_range},
    {"close-above-range-number", close_above_range_number},
    {"close-above-closefrom", close_above_closefrom},
    {"close-above-number", close_above_number},
    {"nothing-seen", nothing_is_seen},
    {"mark-range", mark_range},
    {"fclose", close_by_fclose},
    {"close-again", close_and_again},
    {"dup", swap_by_dup},
    {"dup-before-bind", dup_before_bind},
    {"dup2-away", dup2_away},
    {"dup2-over", dup2_over},
    {"dup3-away", dup3_away},
    {"dup3-over", dup3_over},
    {"dup2-hidden", dup2_on_hidden},
    {"dupfd", by_dupfd},
    {"dupfd-cloexec", by_dupfd_cloexec},
    {"fcntl64", by_fcntl64},
    {"close-at-once", close_at_once},
    {"lowest", accept_gives_lowest},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return run_mode(modes, argc, argv);
}
