/*
 * victim_wait_exclusive.c - an event loop that does odd things to its listener while the library
 * has made it wait at the canonical socket as well (shim/take/wait_exclusive.h).
 *
 *   victim_wait_exclusive MODE PORT FOLDER    serves; once it waits exclusively does what MODE says
 * (the table at the end), and leaves FOLDER/done.SLOT when all was well victim_wait_exclusive
 * hammer PORT         asks, one connection after the other, until killed
 */
#include <dlfcn.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "victim.h"

#define DATA 0x123456789abcdefULL

static void watch(int epoll_fd, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = DATA};
    MUST(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event));
}

/* As the kernel tells it, which knows of everything. */
static int count_registrations(int epoll_fd)
{
    char path[64], line[256];
    int count = 0;

    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", epoll_fd);
    FILE *file = fopen(path, "re");
    CHECK(file != NULL);
    while (fgets(line, sizeof line, file))
        count += strncmp(line, "tfd:", 4) == 0;
    fclose(file);
    return count;
}

static void serve_once(int epoll_fd, int fd, int timeout_ms)
{
    struct epoll_event events[4];
    struct sockaddr_storage peer;
    int got = epoll_wait(epoll_fd, events, 4, timeout_ms);

    for (int i = 0; i < got; i++) {
        CHECK(events[i].data.u64 == DATA && events[i].events == EPOLLIN);
        int conn_fd = accept_one(fd, &peer);
        if (conn_fd >= 0)
            answer(conn_fd, &peer);
        else
            CHECK(errno == EAGAIN || fcntl(fd, F_GETFD) < 0);
    }
}

static void serve_until_attending(int epoll_fd, int fd)
{
    while (count_registrations(epoll_fd) < 2)
        serve_once(epoll_fd, fd, 20);
}

/* Nothing is told of a listener that was taken out, though connections come. */
static void expect_silence(int epoll_fd)
{
    struct epoll_event event;

    CHECK(epoll_wait(epoll_fd, &event, 1, 200) == 0);
    CHECK(count_registrations(epoll_fd) == 0);
}

static void leave_mark(const char *folder)
{
    char path[512];

    snprintf(path, sizeof path, "%s/done.%s", folder, slot_name());
    close(MUST(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600)));
}

static int begin(int port, int *epoll_fd)
{
    int fd = make_listener(port);

    MUST(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK));
    *epoll_fd = MUST(epoll_create1(EPOLL_CLOEXEC));
    watch(*epoll_fd, fd);
    serve_until_attending(*epoll_fd, fd);
    return fd;
}

static void finish(int epoll_fd, int fd, const char *folder)
{
    leave_mark(folder);
    for (;;)
        serve_once(epoll_fd, fd, -1);
}

static void del(int port, const char *folder)
{
    int epoll_fd, fd = begin(port, &epoll_fd);

    MUST(epoll_ctl(epoll_fd, EPOLL_CTL_DEL, fd, NULL));
    expect_silence(epoll_fd);
    watch(epoll_fd, fd);
    finish(epoll_fd, fd, folder);
}

static void past_del(int port, const char *folder)
{
    int epoll_fd, fd = begin(port, &epoll_fd);

    int (*ctl_past)(int, int, int, struct epoll_event *) = NULL;
    *(void **)&ctl_past = dlsym(dlopen("libc.so.6", RTLD_NOW), "epoll_ctl");
    CHECK(ctl_past != NULL);
    MUST(ctl_past(epoll_fd, EPOLL_CTL_DEL, fd, NULL));
    /* a connection wakes the exclusive wait: it must go on and leave nothing behind */
    struct epoll_event event;
    CHECK(epoll_wait(epoll_fd, &event, 1, 500) == 0);
    watch(epoll_fd, fd);
    finish(epoll_fd, fd, folder);
}

/* A child that shares the epoll fd goes on waiting with it after it has closed the listener. */
static void fork_child(int port, const char *folder)
{
    int epoll_fd, fd = begin(port, &epoll_fd);
    pid_t pid = MUST(fork());

    if (pid == 0) {
        struct epoll_event event;
        close(fd);
        int got = epoll_wait(epoll_fd, &event, 1, 100);
        _exit(got < 0 || (got == 1 && event.data.u64 != DATA));
    }
    int status = -1;
    while (waitpid(pid, &status, WNOHANG) == 0)
        serve_once(epoll_fd, fd, 20);
    CHECK(status == 0);
    finish(epoll_fd, fd, folder);
}

/* Answers, and keeps the connection. */
static void answer_and_keep(int conn_fd)
{
    char line[128];

    CHECK(read(conn_fd, line, sizeof line) > 0);
    CHECK(write(conn_fd, "kept\n", 5) == 5);
    shutdown(conn_fd, SHUT_WR);
}

/* Its fd table is full but for three, and it has a connection: others serve better. */
static void become_crowded(int epoll_fd, int fd)
{
    struct rlimit limit = {.rlim_cur = 64, .rlim_max = 64};
    struct epoll_event event;
    struct sockaddr_storage peer;
    int conn_fd = -1;

    MUST(setrlimit(RLIMIT_NOFILE, &limit));
    while (dup(fd) < (int)limit.rlim_cur - 4)
        ;
    while (conn_fd < 0)
        if (epoll_wait(epoll_fd, &event, 1, -1) == 1)
            conn_fd = accept_one(fd, &peer);
    answer_and_keep(conn_fd);
}

/* How often it is told of a connection that is not for it, in a second. */
static int count_in_vain(int epoll_fd, int fd)
{
    struct timespec now, end;
    struct epoll_event event;
    int count = 0;

    clock_gettime(CLOCK_MONOTONIC, &end);
    do {
        clock_gettime(CLOCK_MONOTONIC, &now);
        if (epoll_wait(epoll_fd, &event, 1, 100) == 1) {
            int conn_fd = accept_one(fd, &(struct sockaddr_storage){0});
            if (conn_fd >= 0)
                answer_and_keep(conn_fd);
            else
                count++;
        }
    } while (now.tv_sec - end.tv_sec + (now.tv_nsec > end.tv_nsec) < 2);
    return count;
}

/* The child of one copy is told by the parent's registration, and may not take. */
static void full_child(int port, const char *folder)
{
    int epoll_fd, fd = begin(port, &epoll_fd);

    if (strcmp(slot_name(), "2") != 0)
        finish(epoll_fd, fd, folder);
    pid_t pid = MUST(fork());
    if (pid == 0) {
        become_crowded(epoll_fd, fd);
        int count = count_in_vain(epoll_fd, fd);
        fprintf(stdout, "told in vain: %d\n", count);
        fflush(stdout);
        _exit(count > 300);
    }
    int status = -1;
    MUST(waitpid(pid, &status, 0));
    CHECK(status == 0);
    leave_mark(folder);
    pause();
}

/* The one copy that closes its listener: its epoll fd tells nothing more, the others serve. */
static void close_it(int port, const char *folder)
{
    int epoll_fd, fd = begin(port, &epoll_fd);

    if (strcmp(slot_name(), "2") != 0)
        finish(epoll_fd, fd, folder);
    close(fd);
    expect_silence(epoll_fd);
    leave_mark(folder);
    pause();
}

/* A connection is on its way to the listener when it is closed, and the broker is slow to notice.
 */
static void close_told(int port, const char *folder)
{
    struct epoll_event event;
    int epoll_fd = MUST(epoll_create1(EPOLL_CLOEXEC));
    int fd = make_listener(port);

    MUST(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK));
    watch(epoll_fd, fd);
    if (strcmp(slot_name(), "2") != 0)
        finish(epoll_fd, fd, folder);
    do { /* else it was recalled before the broker was stopped */
        MUST(kill(getppid(), SIGCONT));
        while (poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 1000) == 0)
            ;
        MUST(kill(getppid(), SIGSTOP));
    } while (poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 0) == 0);
    close(fd);
    int told = epoll_wait(epoll_fd, &event, 1, 50);
    MUST(kill(getppid(), SIGCONT));
    CHECK(told == 0);
    leave_mark(folder);
    pause();
}

/*
 * The listener is closed by another thread just while this one begins an exclusive wait: whichever
 * comes first, nothing stays in the epoll fd. The second library of tests/progs/preload.c holds
 * them up.
 */
static int closed_fd = -1;
static sem_t begins, ended, begun;

static void wait_a_moment(sem_t *semaphore)
{
    struct timespec end;

    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec++;
    while (sem_timedwait(semaphore, &end) < 0 && errno == EINTR)
        ;
}

static __thread bool is_closer;

static void before_epoll_ctl(int operation, int fd)
{
    if (fd == closed_fd || operation != EPOLL_CTL_ADD || is_closer)
        return;
    sem_post(&begins);
    wait_a_moment(&ended);
}

static void after_epoll_ctl(int operation, int fd)
{
    if (fd == closed_fd)
        return;
    if (operation == EPOLL_CTL_DEL && is_closer) {
        sem_post(&ended);
        wait_a_moment(&begun);
    } else if (operation == EPOLL_CTL_ADD) {
        sem_post(&begun);
    }
}

static void *close_while_it_begins(void *argument)
{
    (void)argument;
    is_closer = true;
    while (sem_wait(&begins) < 0)
        ;
    close(closed_fd);
    return NULL;
}

static void close_race(int port, const char *folder)
{
    pthread_t thread;
    void (**before)(int, int) =
        (void (**)(int, int))dlsym(RTLD_DEFAULT, "preload_before_epoll_ctl");
    void (**after)(int, int) = (void (**)(int, int))dlsym(RTLD_DEFAULT, "preload_after_epoll_ctl");
    int epoll_fd = MUST(epoll_create1(EPOLL_CLOEXEC));

    CHECK(before && after);
    int fd = make_listener(port);
    MUST(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK));
    watch(epoll_fd, fd);
    if (strcmp(slot_name(), "2") != 0) {
        leave_mark(folder);
        for (;;)
            serve_once(epoll_fd, fd, -1);
    }
    closed_fd = fd;
    CHECK(pthread_create(&thread, NULL, close_while_it_begins, NULL) == 0);
    *after = after_epoll_ctl;
    *before = before_epoll_ctl;
    while (fcntl(fd, F_GETFD) >= 0)
        serve_once(epoll_fd, fd, 20);
    pthread_join(thread, NULL);
    expect_silence(epoll_fd);
    leave_mark(folder);
    pause();
}

/* An event with the library's mark that stays and is nobody's: the wait ends in time, without a
 * spin. */
static void nobodys(int port, const char *folder)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = 0xa77e4d5e000000f0};
    struct rusage before, after;
    int pipe_fds[2];
    int epoll_fd = MUST(epoll_create1(EPOLL_CLOEXEC));
    int fd = make_listener(port);

    MUST(pipe(pipe_fds));
    CHECK(write(pipe_fds[1], "!", 1) == 1);
    MUST(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, pipe_fds[0], &event));
    getrusage(RUSAGE_SELF, &before);
    CHECK(epoll_wait(epoll_fd, &event, 1, 0) == 0);
    CHECK(epoll_wait(epoll_fd, &event, 1, 300) == 0);
    CHECK(epoll_pwait(epoll_fd, &event, 1, 300, NULL) == 0);
    getrusage(RUSAGE_SELF, &after);
    CHECK(after.ru_nvcsw - before.ru_nvcsw < 300);
    CHECK(after.ru_utime.tv_sec * 1000 + after.ru_utime.tv_usec / 1000 < 200);
    close(pipe_fds[0]);
    MUST(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK));
    watch(epoll_fd, fd);
    finish(epoll_fd, fd, folder);
}

static void hammer(int port, const char *argument)
{
    struct sockaddr_in addr = loopback(port);
    char text[64];

    (void)argument;
    for (;;) {
        int fd = MUST(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        MUST(connect(fd, (struct sockaddr *)&addr, sizeof addr));
        CHECK(write(fd, "?\n", 2) == 2);
        while (read(fd, text, sizeof text) > 0)
            ;
        close(fd);
    }
}

static const struct victim_mode modes[] = {
    {"del", del},
    {"past-del", past_del},
    {"fork", fork_child},
    {"full-child", full_child},
    {"close", close_it},
    {"close-told", close_told},
    {"close-race", close_race},
    {"nobodys", nobodys},
    {"hammer", hammer},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return run_mode(modes, argc, argv);
}
