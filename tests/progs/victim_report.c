/*
 * victim_report.c - servers that wait until their listener is reported readable, and then accept
 * although it blocks. `victim_report MODE PORT FOLDER`: while FOLDER/hold is there the server does
 * something else for 300 ms in between. An accept that blocks ends the server; of one that fails
 * FOLDER/aborted is told.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "victim.h"

#define HOLD_MS 300
#define BLOCKED_S 3 /* on a machine with other things to do */

static const char *folder;

static bool is_there(const char *name)
{
    char path[512];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    return access(path, F_OK) == 0;
}

static void tell(const char *name)
{
    char path[512];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    int fd = MUST(open(path, O_WRONLY | O_CREAT | O_APPEND, 0600));
    CHECK(write(fd, "x", 1) == 1);
    close(fd);
}

static void hold(void)
{
    struct timespec rest = {.tv_nsec = HOLD_MS * 1000000L};

    if (!is_there("hold"))
        return;
    tell("held");
    while (nanosleep(&rest, &rest) < 0)
        ;
}

static void on_alarm(int number)
{
    (void)number;
}

/* accept, for BLOCKED_S at most: then -1 with EINTR. */
static int accept_soon(int fd, struct sockaddr_storage *peer)
{
    sigaction(SIGALRM, &(struct sigaction){.sa_handler = on_alarm}, NULL);
    alarm(BLOCKED_S);
    int conn_fd = accept_one(fd, peer);
    int saved = errno;
    alarm(0);
    errno = saved;
    return conn_fd;
}

static void accept_reported(int fd)
{
    struct sockaddr_storage peer;

    hold();
    int conn_fd = accept_soon(fd, &peer);
    if (conn_fd >= 0) {
        answer(conn_fd, &peer);
        return;
    }
    CHECK(errno == ECONNABORTED);
    tell("aborted");
}

static void wait_by_poll(int fd)
{
    struct pollfd readable = {.fd = fd, .events = POLLIN};

    CHECK(poll(&readable, 1, -1) == 1 && readable.revents == POLLIN);
}

static void wait_by_ppoll(int fd)
{
    struct pollfd readable[] = {{.fd = -1, .events = POLLIN}, {.fd = fd, .events = POLLIN}};
    struct timespec minute = {.tv_sec = 60};
    sigset_t none;

    sigemptyset(&none);
    CHECK(ppoll(readable, 2, &minute, &none) == 1 && readable[1].revents == POLLIN);
}

static void wait_by_select(int fd)
{
    fd_set readable;

    FD_ZERO(&readable);
    FD_SET(fd, &readable);
    CHECK(select(fd + 1, &readable, NULL, NULL, NULL) == 1 && FD_ISSET(fd, &readable));
}

static void wait_by_pselect(int fd)
{
    struct timespec minute = {.tv_sec = 60};
    fd_set readable, urgent;

    FD_ZERO(&readable);
    FD_SET(fd, &readable);
    urgent = readable;
    CHECK(pselect(fd + 1, &readable, NULL, &urgent, &minute, NULL) == 1);
    CHECK(FD_ISSET(fd, &readable) && !FD_ISSET(fd, &urgent));
}

/* A look now and then, without waiting. */
static void wait_by_looks(int fd)
{
    struct pollfd readable = {.fd = fd, .events = POLLIN};

    while (poll(&readable, 1, 0) == 0)
        usleep(1000);
    CHECK(readable.revents == POLLIN);
}

static void wait_by_number(int fd)
{
    struct pollfd readable = {.fd = fd, .events = POLLIN};

    CHECK((int)syscall(SYS_ppoll, &readable, 1, NULL, NULL, 8) == 1);
}

static int epoll_fd = -1;

static void wait_by_epoll(int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    if (epoll_fd < 0) {
        epoll_fd = MUST(epoll_create1(0));
        MUST(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event));
    }
    CHECK(epoll_wait(epoll_fd, &event, 1, -1) == 1 && event.data.fd == fd);
}

static void loop(int port, void (*wait_for)(int))
{
    int fd = make_listener(port);

    for (;;) {
        wait_for(fd);
        accept_reported(fd);
    }
}

#define BY(name, wait_for)                                                                         \
    static void name(int port, const char *argument)                                               \
    {                                                                                              \
        folder = argument;                                                                         \
        loop(port, wait_for);                                                                      \
    }
BY(by_poll, wait_by_poll)
BY(by_ppoll, wait_by_ppoll)
BY(by_select, wait_by_select)
BY(by_pselect, wait_by_pselect)
BY(by_looks, wait_by_looks)
BY(by_number, wait_by_number)
BY(by_epoll, wait_by_epoll)

/* Registered before it is bound, so that nobody has seen the epoll_ctl. */
static void by_early_epoll(int port, const char *argument)
{
    int fd = make_socket();
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    folder = argument;
    epoll_fd = MUST(epoll_create1(0));
    MUST(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event));
    MUST(try_bind(fd, port));
    MUST(listen(fd, 64));
    for (;;) {
        wait_by_epoll(fd);
        accept_reported(fd);
    }
}

/* Two listeners, of which the second has the next number. */
static void by_two(int port, const char *argument)
{
    int fds[2] = {make_listener(port), make_listener(port + 1)};

    folder = argument;
    for (;;) {
        fd_set readable;
        FD_ZERO(&readable);
        FD_SET(fds[0], &readable);
        FD_SET(fds[1], &readable);
        CHECK(select(fds[1] + 1, &readable, NULL, NULL, NULL) > 0);
        for (int i = 0; i < 2; i++)
            if (FD_ISSET(fds[i], &readable))
                accept_reported(fds[i]);
    }
}

static int thread_fd, turn[2], turn_back[2];

static void *wait_in_thread(void *unused)
{
    char c;

    (void)unused;
    for (;;) {
        wait_by_select(thread_fd);
        CHECK(write(turn[1], "x", 1) == 1);
        CHECK(read(turn_back[0], &c, 1) == 1);
    }
    return NULL;
}

/* One thread waits, another accepts. */
static void by_thread(int port, const char *argument)
{
    pthread_t thread;
    char c;

    folder = argument;
    thread_fd = make_listener(port);
    MUST(pipe(turn));
    MUST(pipe(turn_back));
    CHECK(pthread_create(&thread, NULL, wait_in_thread, NULL) == 0);
    for (;;) {
        CHECK(read(turn[0], &c, 1) == 1);
        accept_reported(thread_fd);
        CHECK(write(turn_back[1], "x", 1) == 1);
    }
}

static void await_child(pid_t pid)
{
    int status;

    MUST(waitpid(pid, &status, 0));
    CHECK(status == 0);
}

/* The parent waits, a child accepts. */
static void by_fork(int port, const char *argument)
{
    int fd = make_listener(port);

    folder = argument;
    for (;;) {
        wait_by_poll(fd);
        pid_t pid = MUST(fork());
        if (pid == 0) {
            accept_reported(fd);
            _exit(0);
        }
        await_child(pid);
    }
}

/* A program of its own accepts, as those of inetd's "wait" do: its listener is 0. */
static void by_exec(int port, const char *argument)
{
    int fd = make_listener(port);

    folder = argument;
    for (;;) {
        wait_by_poll(fd);
        pid_t pid = MUST(fork());
        if (pid == 0) {
            MUST(dup2(fd, 0));
            execl("/proc/self/exe", "victim_report", "inherited", "0", folder, NULL);
            fail("exec");
        }
        await_child(pid);
    }
}

static void inherited(int port, const char *argument)
{
    folder = argument;
    accept_reported(port);
}

/* The same, and it waits for itself. */
static void by_exec_of_loop(int port, const char *argument)
{
    int fd = make_listener(port);

    MUST(dup2(fd, 0));
    execl("/proc/self/exe", "victim_report", "inherited-loop", "0", argument, NULL);
    fail("exec");
}

static void inherited_loop(int port, const char *argument)
{
    folder = argument;
    for (;;) {
        wait_by_select(port);
        accept_reported(port);
    }
}

/* What nobody has reported is waited for: after each connection an accept must block. */
static void blocks(int port, const char *argument)
{
    int fd = make_listener(port);
    struct pollfd readable = {.fd = fd, .events = POLLIN};
    struct sockaddr_storage peer;

    folder = argument;
    wait_by_poll(fd);
    accept_reported(fd);
    CHECK(accept_soon(fd, &peer) < 0 && errno == EINTR);
    CHECK(poll(&readable, 1, 0) == 0);
    CHECK(accept_soon(fd, &peer) < 0 && errno == EINTR);
    tell("blocked");
    serve(fd);
}

static const struct victim_mode modes[] = {
    {"poll", by_poll},
    {"ppoll", by_ppoll},
    {"select", by_select},
    {"pselect", by_pselect},
    {"looks", by_looks},
    {"number", by_number},
    {"epoll", by_epoll},
    {"early-epoll", by_early_epoll},
    {"two", by_two},
    {"thread", by_thread},
    {"fork", by_fork},
    {"exec", by_exec},
    {"inherited", inherited},
    {"exec-loop", by_exec_of_loop},
    {"inherited-loop", inherited_loop},
    {"blocks", blocks},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return run_mode(modes, argc, argv);
}
