/* victim_wait.c - servers that wait for connections in uncommon ways. */
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "victim.h"

static void set_nonblock(int fd, bool on)
{
    int flags = MUST(fcntl(fd, F_GETFL));
    MUST(fcntl(fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK));
    CHECK(!(fcntl(fd, F_GETFL) & O_NONBLOCK) == !on);
}

/* One connection, then EAGAIN must end it. */
static void accept_until_empty(int fd)
{
    struct sockaddr_storage peer;
    int conn_fd;

    while ((conn_fd = accept_one(fd, &peer)) >= 0)
        answer(conn_fd, &peer);
    CHECK(errno == EAGAIN);
}

static int add_epoll(int fd, uint32_t events)
{
    int epoll_fd = MUST(epoll_create1(EPOLL_CLOEXEC));
    struct epoll_event event = {.events = events, .data.u64 = 0x123456789abcdefULL};
    MUST(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event));
    return epoll_fd;
}

static void wait_epoll(int epoll_fd)
{
    struct epoll_event event;
    int got = MUST(epoll_wait(epoll_fd, &event, 1, -1));
    CHECK(got == 1 && event.data.u64 == 0x123456789abcdefULL);
}

static void epoll_loop(int fd, int epoll_fd)
{
    for (;;) {
        wait_epoll(epoll_fd);
        accept_until_empty(fd);
    }
}

static void epoll_before_bind(int port, const char *argument)
{
    int fd = make_socket();
    (void)argument;
    set_nonblock(fd, true);
    int epoll_fd = add_epoll(fd, EPOLLIN);
    struct epoll_event event;
    epoll_wait(epoll_fd, &event, 1, 0); /* takes the hang-up of the fresh socket */
    MUST(try_bind(fd, port));
    MUST(listen(fd, 64));
    epoll_loop(fd, epoll_fd);
}

static void epoll_edge_before_listen(int port, const char *argument)
{
    int fd = make_bound(port);
    (void)argument;
    set_nonblock(fd, true);
    int epoll_fd = add_epoll(fd, EPOLLIN | EPOLLET);
    MUST(listen(fd, 64));
    epoll_loop(fd, epoll_fd);
}

static void epoll_two(int port, const char *argument)
{
    int fd = make_socket();
    (void)argument;
    int first_fd = add_epoll(fd, EPOLLIN);
    int second_fd = add_epoll(fd, EPOLLIN | EPOLLRDHUP);
    MUST(try_bind(fd, port));
    MUST(listen(fd, 64));
    set_nonblock(fd, true);
    for (;;) {
        wait_epoll(first_fd);
        wait_epoll(second_fd);
        accept_until_empty(fd);
        struct epoll_event event;
        CHECK(epoll_wait(first_fd, &event, 1, 0) == epoll_wait(second_fd, &event, 1, 0));
    }
}

/* Deleting and changing must know the registration that was made before bind. */
static void epoll_changed(int port, const char *argument)
{
    int fd = make_socket();
    (void)argument;
    int epoll_fd = add_epoll(fd, 0);
    MUST(try_bind(fd, port));
    MUST(listen(fd, 64));
    set_nonblock(fd, true);
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = 1};
    CHECK(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 && errno == EEXIST);
    MUST(epoll_ctl(epoll_fd, EPOLL_CTL_MOD, fd, &event));
    MUST(epoll_ctl(epoll_fd, EPOLL_CTL_DEL, fd, NULL));
    CHECK(epoll_ctl(epoll_fd, EPOLL_CTL_DEL, fd, NULL) < 0 && errno == ENOENT);
    epoll_loop(fd, add_epoll(fd, EPOLLIN));
}

static void epoll_oneshot(int port, const char *argument)
{
    int fd = make_listener(port);
    struct sockaddr_storage peer;
    (void)argument;
    int epoll_fd = add_epoll(fd, EPOLLIN | EPOLLONESHOT);
    for (;;) {
        wait_epoll(epoll_fd);
        answer(MUST(accept_one(fd, &peer)), &peer);
        struct epoll_event event = {.events = EPOLLIN | EPOLLONESHOT,
                                    .data.u64 = 0x123456789abcdefULL};
        MUST(epoll_ctl(epoll_fd, EPOLL_CTL_MOD, fd, &event));
    }
}

/* epoll inside epoll, and inside poll. */
static void epoll_nested(int port, const char *argument)
{
    int fd = make_listener(port);
    (void)argument;
    set_nonblock(fd, true);
    int inner_fd = add_epoll(fd, EPOLLIN | EPOLLEXCLUSIVE);
    int outer_fd = add_epoll(inner_fd, EPOLLIN);
    for (;;) {
        CHECK(poll(&(struct pollfd){.fd = outer_fd, .events = POLLIN}, 1, -1) == 1);
        wait_epoll(outer_fd);
        wait_epoll(inner_fd);
        accept_until_empty(fd);
    }
}

static void nonblock_before(int port, const char *argument)
{
    int fd = MUST(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    (void)argument;
    int one = 1;
    MUST(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one));
    MUST(try_bind(fd, port));
    MUST(listen(fd, 64));
    CHECK(fcntl(fd, F_GETFD) == FD_CLOEXEC && (fcntl(fd, F_GETFL) & O_NONBLOCK));
    accept_until_empty(fd);
    serve(fd);
}

/* Each state is tried by an accept that must, or must not, wait. */
static void nonblock_toggled(int port, const char *argument)
{
    struct sockaddr_storage peer;
    int fd = make_bound(port);
    (void)argument;
    set_nonblock(fd, true);
    MUST(listen(fd, 64));
    for (;;) {
        accept_until_empty(fd);
        set_nonblock(fd, false);
        answer(MUST(accept_one(fd, &peer)), &peer);
        set_nonblock(fd, true);
    }
}

static void nonblock_by_ioctl(int port, const char *argument)
{
    struct sockaddr_storage peer;
    int fd = make_listener(port);
    (void)argument;
    for (;;) {
        int on = 1;
        MUST(ioctl(fd, FIONBIO, &on));
        CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK);
        accept_until_empty(fd);
        on = 0;
        MUST(ioctl(fd, FIONBIO, &on));
        CHECK(!(fcntl(fd, F_GETFL) & O_NONBLOCK));
        answer(MUST(accept_one(fd, &peer)), &peer);
    }
}

/* The same, and all else, by number. */
static void all_by_number(int port, const char *argument)
{
    int fd = make_listener(port);
    struct pollfd polled = {.fd = fd, .events = POLLIN};
    struct timespec second = {.tv_sec = 1};
    int epoll_fd = MUST(epoll_create1(EPOLL_CLOEXEC));
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    (void)argument;
    MUST((int)syscall(SYS_epoll_ctl, epoll_fd, EPOLL_CTL_ADD, fd, &event));
    for (int turn = 0;; turn++) {
        int on = 1;
        MUST((int)syscall(SYS_ioctl, fd, FIONBIO, &on));
        CHECK((int)syscall(SYS_fcntl, fd, F_GETFL) & O_NONBLOCK);
        if (turn % 3 == 0)
            MUST((int)syscall(SYS_epoll_pwait, epoll_fd, &event, 1, 1000, NULL, 8));
        else if (turn % 3 == 1)
            MUST((int)syscall(SYS_ppoll, &polled, 1, &second, NULL, 8));
        else
            MUST((int)syscall(SYS_fcntl, fd, F_SETFL, O_RDWR | O_NONBLOCK));
        CHECK(event.data.fd == fd);
        accept_until_empty(fd);
        on = 0;
        MUST((int)syscall(SYS_ioctl, fd, FIONBIO, &on));
        CHECK(!((int)syscall(SYS_fcntl, fd, F_GETFL) & O_NONBLOCK));
        int conn_fd = (int)syscall(SYS_accept4, fd, NULL, NULL, SOCK_CLOEXEC);
        if (conn_fd >= 0)
            answer(conn_fd, NULL);
        else
            CHECK(errno == EINTR);
    }
}

/* O_NONBLOCK belongs to the file: what the child sets holds for the parent. */
static void nonblock_after_fork(int port, const char *argument)
{
    int fd = make_listener(port);
    int status;
    (void)argument;
    pid_t pid = MUST(fork());
    if (pid == 0) {
        set_nonblock(fd, true);
        _exit(0);
    }
    MUST(waitpid(pid, &status, 0));
    CHECK(status == 0 && (fcntl(fd, F_GETFL) & O_NONBLOCK));
    accept_until_empty(fd);
    serve(fd);
}

static void by_select(int port, const char *argument)
{
    int fd = make_listener(port);
    (void)argument;
    set_nonblock(fd, true);
    for (;;) {
        fd_set readable;
        FD_ZERO(&readable);
        FD_SET(fd, &readable);
        struct timeval second = {.tv_sec = 1};
        int got = MUST(select(fd + 1, &readable, NULL, NULL, &second));
        CHECK(got == (FD_ISSET(fd, &readable) ? 1 : 0));
        accept_until_empty(fd);
    }
}

/* SO_RCVTIMEO is accept's time-out: EAGAIN after it. */
static void receive_timeout(int port, const char *argument)
{
    struct timeval timeout = {.tv_usec = 50000};
    struct timeval got;
    socklen_t len = sizeof got;
    struct sockaddr_storage peer;
    int fd = make_bound(port);
    bool before = argument && strcmp(argument, "before") == 0;
    if (before)
        MUST(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout));
    MUST(listen(fd, 64));
    if (!before)
        MUST(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout));
    MUST(getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &got, &len));
    CHECK(len == sizeof got && got.tv_sec == 0 && got.tv_usec >= 50000 && got.tv_usec < 60000);
    for (;;) {
        int conn_fd = accept_one(fd, &peer);
        if (conn_fd >= 0) {
            /* options travel from listener to connection, this one included */
            MUST(getsockopt(conn_fd, SOL_SOCKET, SO_RCVTIMEO, &got, &len));
            CHECK(got.tv_usec >= 50000);
            answer(conn_fd, &peer);
        } else {
            CHECK(errno == EAGAIN);
        }
    }
}

static volatile sig_atomic_t signalled;

static void on_signal(int number)
{
    (void)number;
    signalled = 1;
}

/* The listener announces connections by a signal. */
static void by_signal(int port, const char *argument)
{
    int fd = make_bound(port);
    sigset_t blocked, open;
    int on = 1;
    int number = argument && strcmp(argument, "realtime") == 0 ? SIGRTMIN + 2 : SIGIO;
    bool before = argument && strcmp(argument, "before") == 0;

    sigemptyset(&blocked);
    sigaddset(&blocked, number);
    sigprocmask(SIG_BLOCK, &blocked, &open);
    sigaction(number, &(struct sigaction){.sa_handler = on_signal}, NULL);
    if (!before)
        MUST(listen(fd, 64));
    MUST(fcntl(fd, F_SETOWN, getpid()));
    CHECK(fcntl(fd, F_GETOWN) == getpid());
    if (number != SIGIO)
        MUST(fcntl(fd, F_SETSIG, number));
    MUST(ioctl(fd, FIOASYNC, &on));
    CHECK(fcntl(fd, F_GETFL) & O_ASYNC);
    set_nonblock(fd, true);
    if (before)
        MUST(listen(fd, 64));
    for (;;) {
        accept_until_empty(fd);
        while (!signalled)
            sigsuspend(&open);
        signalled = 0;
    }
}

static int thread_fd;

static void *serve_thread(void *unused)
{
    (void)unused;
    serve(thread_fd);
    return NULL;
}

static void threads(int port, const char *argument)
{
    pthread_attr_t attributes;
    pthread_t thread;
    int count = argument ? atoi(argument) : 100;

    thread_fd = make_listener(port);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 65536);
    for (int i = 0; i < count; i++)
        CHECK(pthread_create(&thread, &attributes, serve_thread, NULL) == 0);
    pause();
}

/* One thread waits, another accepts, and gives the turn back. */
static int turn[2];
static int turn_back[2];

static void *poll_thread(void *unused)
{
    struct pollfd readable = {.fd = thread_fd, .events = POLLIN};
    char c;
    (void)unused;
    for (;;) {
        CHECK(poll(&readable, 1, -1) == 1 && readable.revents == POLLIN);
        CHECK(write(turn[1], "x", 1) == 1);
        CHECK(read(turn_back[0], &c, 1) == 1);
    }
    return NULL;
}

static void poll_apart(int port, const char *argument)
{
    pthread_t thread;
    char c;
    (void)argument;
    MUST(pipe(turn));
    MUST(pipe(turn_back));
    thread_fd = make_listener(port);
    set_nonblock(thread_fd, true);
    CHECK(pthread_create(&thread, NULL, poll_thread, NULL) == 0);
    for (;;) {
        CHECK(read(turn[0], &c, 1) == 1);
        accept_until_empty(thread_fd);
        CHECK(write(turn_back[1], "x", 1) == 1);
    }
}

/* Waiting that no hook sees. */
static void past_epoll(int port, const char *argument)
{
    int fd = make_listener(port);
    (void)argument;
    set_nonblock(fd, true);
    int epoll_fd = add_epoll(fd, EPOLLIN);
    int (*wait_past)(int, struct epoll_event *, int, int) = NULL;
    *(void **)&wait_past = dlsym(dlopen("libc.so.6", RTLD_NOW), "epoll_wait");
    CHECK(wait_past != NULL);
    for (;;) {
        struct epoll_event event;
        wait_past(epoll_fd, &event, 1, -1);
        accept_until_empty(fd);
    }
}

static const struct victim_mode modes[] = {
    {"epoll-before-bind", epoll_before_bind},
    {"epoll-edge-before-listen", epoll_edge_before_listen},
    {"epoll-two", epoll_two},
    {"epoll-changed", epoll_changed},
    {"epoll-oneshot", epoll_oneshot},
    {"epoll-nested", epoll_nested},
    {"nonblock-before", nonblock_before},
    {"nonblock-toggled", nonblock_toggled},
    {"nonblock-ioctl", nonblock_by_ioctl},
    {"nonblock-fork", nonblock_after_fork},
    {"select", by_select},
    {"timeout", receive_timeout},
    {"sigio", by_signal},
    {"threads", threads},
    {"poll-apart", poll_apart},
    {"all-by-number", all_by_number},
    {"past-epoll", past_epoll},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return run_mode(modes, argc, argv);
}
