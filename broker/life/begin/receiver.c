/* receiver.c - see receiver.h. */
#include "broker/life/begin/receiver.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "broker/base/journal.h"
#include "broker/base/loop.h"
#include "broker/base/loop/fds.h"
#include "broker/base/process/helpers.h"
#include "broker/base/process/signal.h"
#include "broker/base/turn.h"
#include "broker/life/begin/discard.h"
#include "proto/fdpass.h"

#define TEXT_MAX 4096
/* Anybody may send, as often as he likes. */
#define REPORTS 8 /* of one socket; after each further one there is a rest */
#define REPORT_REST                                                                                \
    20 /* times what the broker took for it, so it gives a twentieth of its time                   \
        */
#define REPORT_REST_MAX_US 5000
#define READS 64 /* of all sockets; then there is a rest */
#define READ_REST_US 1000
#define SLEEPERS_MAX 8 /* descriptors that are not closed; more are not received, if possible */
#define REVIEW_MS 100  /* whether they are */
#define RETRY_US 20000

struct report {
    uint64_t number;
    struct ucred sender;
};

/* To the process: with a descriptor a socket that is to be read, without one "it is noted". */
struct order {
    uint64_t number;
};

/* --- in the process --- */

struct source {
    int fd; /* keeps; -1: a free place */
    uint64_t number;
    unsigned reports;
    bool refuses; /* descriptors */
};

/* An event names its place, see PLACE_OF_BROKER. Places are reused. */
static struct source *sources;
static uint32_t sources_count;

#define PLACE_OF_BROKER UINT32_MAX

static bool says_ready(const char *text)
{
    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, "READY=1", 7) == 0 && (line[7] == '\n' || line[7] == '\0'))
            return true;
    }
    return false;
}

/* The memory grows with the most sockets at a time, and moves: hold no pointer to a source across
 * this. */
static uint32_t find_free_place(void)
{
    uint32_t place = 0;

    while (place < sources_count && sources[place].fd >= 0)
        place++;
    if (place < sources_count)
        return place;
    struct source *larger = realloc(sources, (sources_count + 1) * sizeof *larger);
    if (!larger)
        _exit(1);
    sources = larger;
    return sources_count++;
}

/* Takes an order, and waits for one if need be. True: it said that a report is noted. */
static bool obey(int broker_fd, int epoll_fd)
{
    struct order order;
    int fd;

    if (fdpass_recv(broker_fd, &order, sizeof order, &fd, MSG_CMSG_CLOEXEC, NULL) != sizeof order)
        _exit(0); /* the broker has ended */
    if (fd < 0)
        return true;
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = find_free_place()};
    sources[event.data.u32] = (struct source){.fd = fd, .number = order.number};
    fds_permit(fd); /* it may be from a process before this one */
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
        _exit(1);
    return false;
}

/* Returns when the broker has noted it. */
static void tell(uint32_t place, const struct ucred *sender, int broker_fd, int epoll_fd)
{
    struct report report = {sources[place].number, *sender};
    int64_t begin_us = turn_read_us(CLOCK_MONOTONIC);

    if (send(broker_fd, &report, sizeof report, MSG_NOSIGNAL) < 0)
        _exit(0);
    while (!obey(broker_fd, epoll_fd))
        ;
    int64_t rest_us = (turn_read_us(CLOCK_MONOTONIC) - begin_us) * REPORT_REST;
    if (sources[place].reports++ >= REPORTS)
        usleep((useconds_t)(rest_us < REPORT_REST_MAX_US ? rest_us : REPORT_REST_MAX_US));
}

/* Whoever sends descriptors that do not close gets EPERM, and meanwhile everybody. */
static void guard(struct source *source)
{
    bool refuses = discard_count() >= SLEEPERS_MAX;

    if (refuses == source->refuses)
        return;
    source->refuses = refuses;
    if (refuses)
        fds_refuse(source->fd);
    else
        fds_permit(source->fd);
}

static void review(void)
{
    for (uint32_t place = 0; place < sources_count; place++)
        if (sources[place].fd >= 0)
            guard(&sources[place]);
}

/* False: there is none. */
static bool read_one(uint32_t place, int broker_fd, int epoll_fd)
{
    int fd = sources[place].fd;
    char text[TEXT_MAX];
    struct ucred sender;
    int has_fds;
    ssize_t len =
        fdpass_recv_from(fd, text, sizeof text - 1, &sender, MSG_DONTWAIT | MSG_PEEK, &has_fds);

    if (len < 0)
        return false;
    text[len] = '\0';
    if (says_ready(text))
        tell(place, &sender, broker_fd, epoll_fd);
    if (!has_fds)
        fdpass_recv_from(fd, text, 1, &sender, MSG_DONTWAIT, NULL);
    else if (!discard_next(fd))
        usleep(RETRY_US);
    guard(&sources[place]);
    return true;
}

/* Its worker has ended. The broker, or a child of it that has not executed yet, may have the socket
 * open still: close(2) alone would not end the registration, see epoll(7). */
static void drop(uint32_t place, int epoll_fd)
{
    epoll_ctl(epoll_fd, EPOLL_CTL_DEL, sources[place].fd, NULL);
    close(sources[place].fd);
    sources[place].fd = -1;
}

/* Few descriptors: the others would keep the broker's sockets open for as long as this hangs. */
static _Noreturn void help(int broker_fd, pid_t broker_pid)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = PLACE_OF_BROKER};

    helpers_enter("sshim-receiver");
    broker_fd = helpers_keep_one(broker_fd);
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, broker_fd, &event) < 0 ||
        discard_init() < 0)
        _exit(1);
    for (unsigned reads = 1; getppid() == broker_pid; reads++) {
        if (epoll_wait(epoll_fd, &event, 1, discard_count() ? REVIEW_MS : -1) <= 0) {
            review();
            continue;
        }
        uint32_t place = event.data.u32;
        if (place == PLACE_OF_BROKER)
            obey(broker_fd, epoll_fd);
        else if (!read_one(place, broker_fd, epoll_fd) && (event.events & EPOLLHUP))
            drop(place, epoll_fd);
        if (reads % READS == 0)
            usleep(READ_REST_US);
    }
    _exit(0);
}

/* --- in the broker --- */

static void (*tell_ready)(uint64_t number, const struct ucred *sender);
static void (*tell_end)(void);
static pid_t pids[2]; /* the process, and one that was killed; 0: none */
static struct loop_fd watch = {.fd = -1};

void receiver_init(void (*on_ready)(uint64_t, const struct ucred *), void (*on_end)(void))
{
    tell_ready = on_ready;
    tell_end = on_end;
}

static void end(void)
{
    if (watch.fd < 0)
        return;
    loop_remove(&watch);
    close(watch.fd);
    watch.fd = -1;
    signal_process(pids[0], SIGKILL);
    pids[1] = pids[0];
    pids[0] = 0;
}

/* Before it is told that this is noted, it is. */
static void on_report(struct loop_fd *unused, uint32_t events)
{
    struct report report;
    struct order noted = {0};
    ssize_t len = recv(watch.fd, &report, sizeof report, MSG_DONTWAIT);

    (void)unused;
    (void)events;
    if (len < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (len == sizeof report) {
        tell_ready(report.number, &report.sender);
        journal_save_now();
    }
    if (len == sizeof report && send(watch.fd, &noted, sizeof noted, MSG_NOSIGNAL) > 0)
        return;
    end();
    tell_end();
}

static bool start(void)
{
    pid_t broker_pid = getpid();
    int ends[2];

    if (watch.fd >= 0)
        return true;
    helpers_bury(pids, 2);
    if (pids[1] || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return false;
    pid_t pid = helpers_fork(0);
    if (pid == 0)
        help(ends[1], broker_pid);
    close(ends[1]);
    watch = (struct loop_fd){ends[0], on_report};
    if (pid < 0 || loop_add(&watch, EPOLLIN) < 0) {
        fds_close(ends[0]); /* it ends by that */
        watch.fd = -1;
        pids[1] = pid > 0 ? pid : 0;
        return false;
    }
    pids[0] = pid;
    return true;
}

bool receiver_add(int socket_fd, uint64_t number)
{
    struct order order = {number};

    return start() && fdpass_send(watch.fd, &order, sizeof order, socket_fd, MSG_DONTWAIT) == 0;
}

bool receiver_is_pid(pid_t pid)
{
    return pid == pids[0] || pid == pids[1];
}

void receiver_stop(void)
{
    if (watch.fd < 0)
        return;
    end();
    helpers_await(pids, 2);
    tell_end();
}
