/* victim_accept.c - what can happen to a call of accept(). */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "victim.h"

static int listener_fd;

static void *accept_for_ever(void *unused)
{
    (void)unused;
    serve(listener_fd);
    return NULL;
}

/* Threads cancelled in accept leave it as it was. */
static void cancelled(int port, const char *argument)
{
    pthread_t thread;
    void *result;
    (void)argument;
    listener_fd = make_listener(port);
    for (int i = 0; i < 20; i++) {
        CHECK(pthread_create(&thread, NULL, accept_for_ever, NULL) == 0);
        usleep(i * 300);
        CHECK(pthread_cancel(thread) == 0);
        CHECK(pthread_join(thread, &result) == 0 && result == PTHREAD_CANCELED);
    }
    serve(listener_fd);
}

static sigjmp_buf back;

static void jump(int number)
{
    (void)number;
    siglongjmp(back, 1);
}

static void every_ms(int ms)
{
    struct itimerval timer = {{0, ms * 1000}, {0, ms * 1000}};
    setitimer(ITIMER_REAL, &timer, NULL);
}

/* A handler leaves accept by siglongjmp, many times. The alarm is off outside of accept. */
static void jumped_out(int port, const char *argument)
{
    struct sockaddr_storage peer;
    volatile int jumps = 0;
    (void)argument;
    int fd = make_listener(port);
    signal(SIGALRM, jump);
    if (sigsetjmp(back, 1))
        jumps++;
    if (jumps < 20) {
        every_ms(5);
        int conn_fd = accept_one(fd, &peer);
        every_ms(0);
        if (conn_fd >= 0)
            answer(conn_fd, &peer);
    }
    if (jumps < 20)
        siglongjmp(back, 1);
    every_ms(0);
    serve(fd);
}

static void nothing(int number)
{
    (void)number;
}

/* Without SA_RESTART accept ends with EINTR. */
static void interrupted(int port, const char *argument)
{
    struct sockaddr_storage peer;
    int interruptions = 0;
    (void)argument;
    int fd = make_listener(port);
    sigaction(SIGALRM, &(struct sigaction){.sa_handler = nothing}, NULL);
    every_ms(5);
    while (interruptions < 20) {
        int conn_fd = accept_one(fd, &peer);
        if (conn_fd < 0) {
            CHECK(errno == EINTR);
            interruptions++;
        } else {
            answer(conn_fd, &peer);
        }
    }
    every_ms(0);
    serve(fd);
}

/* With it accept goes on. */
static void restarted(int port, const char *argument)
{
    struct sockaddr_storage peer;
    (void)argument;
    int fd = make_listener(port);
    sigaction(SIGALRM, &(struct sigaction){.sa_handler = nothing, .sa_flags = SA_RESTART}, NULL);
    every_ms(5);
    for (;;)
        answer(MUST(accept_one(fd, &peer)), &peer);
}

static void check_port(const void *addr, int conn_fd)
{
    struct sockaddr_in real;
    socklen_t len = sizeof real;
    MUST(getpeername(conn_fd, (struct sockaddr *)&real, &len));
    CHECK(memcmp(addr, &real, 8) == 0);
}

/* One shape of argument after another. */
static void shapes(int port, const char *argument)
{
    int fd = make_listener(port);
    (void)argument;
    for (unsigned i = 0;; i++) {
        unsigned char room[4096];
        socklen_t len;
        int conn_fd;
        memset(room, 0xee, sizeof room);
        switch (i % 10) {
        case 0: conn_fd = MUST(accept(fd, NULL, NULL)); break;
        case 1:
            len = 7;
            conn_fd = MUST(accept(fd, NULL, &len));
            CHECK(len == 7);
            break;
        case 2:
            len = 0;
            conn_fd = MUST(accept(fd, (struct sockaddr *)room, &len));
            CHECK(len == 16 && room[0] == 0xee);
            break;
        case 3:
            len = 4;
            conn_fd = MUST(accept(fd, (struct sockaddr *)room, &len));
            CHECK(len == 16 && room[4] == 0xee && room[0] == AF_INET);
            break;
        case 4:
        case 5:
        case 6:
            len = i % 10 == 4 ? 16 : i % 10 == 5 ? 28 : sizeof room;
            conn_fd = MUST(accept(fd, (struct sockaddr *)room, &len));
            CHECK(len == 16 && room[16] == 0xee);
            check_port(room, conn_fd);
            break;
        case 7:
            len = sizeof room;
            conn_fd = MUST(accept4(fd, (struct sockaddr *)room, &len, SOCK_CLOEXEC));
            CHECK(fcntl(conn_fd, F_GETFD) == FD_CLOEXEC);
            CHECK(!(fcntl(conn_fd, F_GETFL) & O_NONBLOCK));
            break;
        case 8:
            len = sizeof room;
            conn_fd = MUST(accept4(fd, (struct sockaddr *)room, &len, SOCK_NONBLOCK));
            CHECK(fcntl(conn_fd, F_GETFD) == 0);
            CHECK(fcntl(conn_fd, F_GETFL) == (O_RDWR | O_NONBLOCK));
            break;
        default:
            CHECK(accept4(fd, NULL, NULL, 1) < 0 && errno == EINVAL);
            conn_fd = MUST((int)syscall(SYS_accept4, fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK));
            CHECK(fcntl(conn_fd, F_GETFD) == FD_CLOEXEC);
            CHECK(fcntl(conn_fd, F_GETFL) == (O_RDWR | O_NONBLOCK));
        }
        errno = 0;
        answer(conn_fd, NULL);
    }
}

/* Pointers that are none: EFAULT, no crash, and the next one is served. */
static void bad_pointers(int port, const char *argument)
{
    int fd = make_listener(port);
    struct sockaddr_storage peer;
    socklen_t len = sizeof peer;
    socklen_t negative = (socklen_t)-1;
    struct pollfd readable = {.fd = fd, .events = POLLIN};
    (void)argument;
    CHECK(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
    for (int i = 0;; i = (i + 1) % 4) {
        CHECK(poll(&readable, 1, -1) == 1);
        int result = i == 0   ? accept(fd, (struct sockaddr *)&peer, (socklen_t *)8)
                     : i == 1 ? accept(fd, (struct sockaddr *)8, &len)
                     : i == 2 ? accept(fd, (struct sockaddr *)&peer, NULL)
                              : accept(fd, (struct sockaddr *)&peer, &negative);
        if (result < 0 && errno == EAGAIN)
            continue; /* somebody else took it */
        CHECK(result < 0 && errno == (i == 3 ? EINVAL : EFAULT));
        int conn_fd = accept_one(fd, &peer);
        if (conn_fd >= 0)
            answer(conn_fd, &peer);
        else
            CHECK(errno == EAGAIN);
    }
}

/* The fd table is full for a while: EMFILE, and the connection waits. */
static void full_table(int port, const char *argument)
{
    struct rlimit limit = {.rlim_cur = 64, .rlim_max = 64};
    struct sockaddr_storage peer;
    int fd = make_listener(port);
    int dummies[64];
    bool blocks = argument && strcmp(argument, "blocking") == 0;
    MUST(setrlimit(RLIMIT_NOFILE, &limit));
    if (!blocks)
        MUST(fcntl(fd, F_SETFL, O_NONBLOCK));
    for (;;) {
        int count = 0;
        struct pollfd readable = {.fd = fd, .events = POLLIN};
        CHECK(poll(&readable, 1, -1) == 1);
        while ((dummies[count] = dup(2)) >= 0)
            count++;
        CHECK(errno == EMFILE);
        for (int i = 0; i < 3; i++) {
            int conn_fd = accept_one(fd, &peer);
            CHECK(conn_fd < 0 && (errno == EMFILE || errno == EAGAIN));
        }
        while (count > 0)
            close(dummies[--count]);
        /* It waits still, unless another copy was given it meanwhile. */
        if (poll(&readable, 1, 0) != 1)
            continue;
        int conn_fd = accept_one(fd, &peer);
        if (conn_fd >= 0)
            answer(conn_fd, &peer);
    }
}

/* The table fills with connections and the program stops accepting when accept says EMFILE. */
static void full_of_connections(int port, const char *argument)
{
    struct rlimit limit = {.rlim_cur = 48, .rlim_max = 48};
    struct sockaddr_storage peer;
    int kept[64];
    int count = 0;
    (void)argument;
    MUST(setrlimit(RLIMIT_NOFILE, &limit));
    int fd = make_listener(port);
    for (;;) {
        int conn_fd = accept_one(fd, &peer);
        if (conn_fd >= 0) {
            kept[count++] = conn_fd;
            continue;
        }
        CHECK(errno == EMFILE);
        CHECK(count >= 30);
        while (count > 0)
            answer(kept[--count], NULL);
        serve(fd);
    }
}

/*
 * The table is full again and again, with holes: the oldest connection leaves when accept says
 * EMFILE. Descriptors come as well that no hook sees, and some far above the others. With an
 * argument the limit is another's to lower, and accept does not block: one that blocks has found
 * its number before.
 */
static void full_with_holes(int port, const char *argument)
{
    struct rlimit limit = {.rlim_cur = 64, .rlim_max = 64};
    struct sockaddr_storage peer;
    int kept[64];
    int first = 0;
    int count = 0;
    if (!argument)
        MUST(setrlimit(RLIMIT_NOFILE, &limit));
    int fd = make_listener(port);
    if (argument)
        MUST(fcntl(fd, F_SETFL, O_NONBLOCK));
    MUST(fcntl(2, F_DUPFD, 55));
    for (int i = 0; i < 10; i++)
        MUST(open("/dev/null", O_RDONLY));
    for (;;) {
        bool has_place = count - first < 60;
        int conn_fd = has_place ? accept_one(fd, &peer) : -1;
        if (conn_fd < 0 && has_place && errno == EAGAIN) {
            poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, -1);
            continue;
        }
        if (conn_fd >= 0) {
            kept[count++ % 64] = conn_fd;
            continue;
        }
        CHECK(!has_place || errno == EMFILE);
        CHECK(count > first);
        answer(kept[first++ % 64], NULL);
    }
}

static int closed_fd;
static _Atomic int closer_tid;

static void *accept_until_closed(void *unused)
{
    (void)unused;
    closer_tid = (int)syscall(SYS_gettid);
    accept(closed_fd, NULL, NULL);
    return NULL;
}

static bool sleeps(int tid)
{
    char path[64];
    char text[512] = "";

    snprintf(path, sizeof path, "/proc/self/task/%d/syscall", tid);
    int fd = open(path, O_RDONLY);
    if (fd < 0 || read(fd, text, sizeof text - 1) < 0)
        text[0] = '\0';
    close(fd);
    long number = strtol(text, NULL, 10);
    return text[0] != 'r' && (number == SYS_accept || number == SYS_accept4 ||
                              number == SYS_recvmsg || number == SYS_poll);
}

/* Another thread closes a listener under a blocked accept; something else gets its number. */
static void closed_under(int port, const char *argument)
{
    struct sockaddr_storage peer;
    pthread_t thread;
    int pipe_fds[2];
    char c;
    int fd = make_listener(port);
    closed_fd = make_listener(atoi(argument));
    CHECK(pthread_create(&thread, NULL, accept_until_closed, NULL) == 0);
    while (!closer_tid || !sleeps(closer_tid))
        usleep(1000);
    MUST(close(closed_fd));
    MUST(pipe(pipe_fds));
    CHECK(pipe_fds[0] == closed_fd);
    for (;;) {
        int conn_fd = MUST(accept_one(fd, &peer));
        CHECK(write(pipe_fds[1], "x", 1) == 1 && read(pipe_fds[0], &c, 1) == 1);
        answer(conn_fd, &peer);
    }
}

static const struct victim_mode modes[] = {
    {"cancelled", cancelled},
    {"jumped", jumped_out},
    {"interrupted", interrupted},
    {"restarted", restarted},
    {"shapes", shapes},
    {"bad-pointers", bad_pointers},
    {"full", full_table},
    {"full-with-holes", full_with_holes},
    {"closed-under", closed_under},
    {"full-of-connections", full_of_connections},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return run_mode(modes, argc, argv);
}
