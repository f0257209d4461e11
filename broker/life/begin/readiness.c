/* readiness.c - see readiness.h. */
#include "broker/life/begin/readiness.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "broker/base/broker.h"
#include "broker/base/log.h"
#include "broker/base/loop/fds.h"
#include "broker/base/process/procfs.h"
#include "broker/life/begin/receiver.h"

#define LOOK_MS 20 /* whether a thread has come to wait; more rarely later */
#define LOOK_MAX_MS 500
#define RETRY_MS 50
#define SILENCE_MS 60000   /* of one worker's socket, about those who may not speak for it */
#define GENERATIONS_MAX 64 /* between the worker and a process that speaks for it */

static void (*tell_reached)(struct worker *worker);

/* A worker without a socket began under another --ready, or has joined. */
static enum config_readiness mode_of(const struct worker *worker)
{
    enum config_readiness mode = broker.config.ready.mode;
    bool has_socket = worker->readiness.socket_fd >= 0;

    return worker->joined || (mode == READINESS_NOTIFY && !has_socket) ? READINESS_LISTEN : mode;
}

static bool has_waited(const struct worker *worker)
{
    const struct channel *channel;

    LIST_FOREACH(channel, &worker->channels, of_worker)
        if (channel->listening &&
            atomic_load_explicit(&channel->board->worker.waits, memory_order_relaxed) > 0)
            return true;
    return worker_accepted(worker) > 0;
}

static int64_t left_ms(const struct worker *worker)
{
    return worker->readiness.listened_ms + (int64_t)broker.config.ready.delay_s * 1000 -
           loop_now_ms();
}

bool readiness_is_reached(const struct worker *worker)
{
    switch (mode_of(worker)) {
    case READINESS_LISTEN: return true; /* who asks knows that it listens, or never will */
    case READINESS_ACCEPT: return has_waited(worker);
    case READINESS_DELAY: return worker->readiness.listened_ms > 0 && left_ms(worker) <= 0;
    case READINESS_NOTIFY: return worker->readiness.is_told;
    }
    return true;
}

const char *readiness_describe(void)
{
    switch (broker.config.ready.mode) {
    case READINESS_ACCEPT: return "has not come to wait for a connection (--ready accept)";
    case READINESS_DELAY: return "has not listened for long enough (--ready delay)";
    case READINESS_NOTIFY: return "has not sent READY=1 (--ready notify)";
    case READINESS_LISTEN: break;
    }
    return "does not listen";
}

/* A worker that accepts by itself cannot be kept from it. */
static bool is_kept_back(const struct worker *worker)
{
    enum config_readiness mode = mode_of(worker);

    return (mode == READINESS_DELAY || mode == READINESS_NOTIFY) &&
           runtime.handoff != HANDOFF_DIRECT && worker->state == WORKER_STARTING &&
           !readiness_is_reached(worker);
}

static void reach(struct worker *worker)
{
    if (worker->kept_back) {
        worker_set_kept_back(worker, false);
        worker_wake(worker);
    }
    if (worker->state == WORKER_STARTING && tell_reached)
        tell_reached(worker);
}

/* --- the socket --- */

static bool is_below(pid_t pid, pid_t root)
{
    for (int i = 0; pid > 1 && i < GENERATIONS_MAX; i++) {
        if (pid == root)
            return true;
        pid = procfs_parent(pid);
    }
    return false;
}

static bool may_speak(const struct worker *worker, const struct ucred *sender)
{
    uid_t uid;

    if (is_below(sender->pid, worker->pid))
        return true;
    return procfs_birth(sender->pid) == 0 && procfs_get_uid(worker->pid, &uid) &&
           uid == sender->uid;
}

/* Anybody may send, as often as he likes. */
static void tell_of_stranger(struct worker *worker, const struct ucred *sender)
{
    int64_t told_ms = worker->readiness.told_of_stranger_ms;

    if (told_ms > 0 && loop_now_ms() - told_ms < SILENCE_MS)
        return;
    worker->readiness.told_of_stranger_ms = loop_now_ms();
    log_info("READY=1 for worker %u came from pid %d (uid %u), which is no process of it; "
             "ignoring that, and saying so once a minute",
             worker->slot, (int)sender->pid, (unsigned)sender->uid);
}

static struct worker *find(uint64_t number)
{
    struct worker *worker;

    LIST_FOREACH(worker, &workers, all)
        if (worker->readiness.socket_fd >= 0 && worker->readiness.number == number)
            return worker;
    return NULL;
}

static void on_ready(uint64_t number, const struct ucred *sender)
{
    struct worker *worker = find(number);

    if (!worker || worker->readiness.is_told)
        return;
    if (!may_speak(worker, sender)) {
        tell_of_stranger(worker, sender);
        return;
    }
    worker->readiness.is_told = true;
    journal_touch();
    reach(worker);
}

/* Tries until the process that reads it has it. */
static void have_read(struct worker *worker)
{
    worker->readiness.is_read = receiver_add(worker->readiness.socket_fd, worker->readiness.number);
    if (!worker->readiness.is_read)
        loop_start_timer(&worker->readiness.timer, RETRY_MS);
}

static void on_receiver_end(void)
{
    struct worker *worker;

    log_debug("the process that reads what workers say has ended; starting another one");
    LIST_FOREACH(worker, &workers, all) {
        worker->readiness.is_read = false;
        if (worker->readiness.socket_fd >= 0)
            loop_start_timer(&worker->readiness.timer, RETRY_MS);
    }
}

static void begin_to_read(struct worker *worker, int fd)
{
    static uint64_t numbers;

    worker->readiness.socket_fd = fd;
    worker->readiness.number = ++numbers;
    have_read(worker);
}

/* unix(7), "Autobind feature": the kernel finds an abstract name. */
static int open_socket(void)
{
    struct sockaddr_un none = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int on = 1;

    if (fd < 0 || (setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) == 0 &&
                   bind(fd, (struct sockaddr *)&none, sizeof none.sun_family) == 0))
        return fd;
    fds_close(fd);
    return -1;
}

struct readiness_name readiness_name(const struct worker *worker)
{
    struct readiness_name name = {""};
    struct sockaddr_un addr;
    socklen_t len = sizeof addr;

    if (worker->readiness.socket_fd >= 0 &&
        getsockname(worker->readiness.socket_fd, (struct sockaddr *)&addr, &len) == 0)
        snprintf(name.text, sizeof name.text, "@%.*s",
                 (int)(len - offsetof(struct sockaddr_un, sun_path) - 1), addr.sun_path + 1);
    return name;
}

/* --- time --- */

static int64_t delay_ms(const struct worker *worker)
{
    int64_t look_ms = LOOK_MS + (loop_now_ms() - worker->readiness.listened_ms) / 8;

    if (mode_of(worker) == READINESS_ACCEPT)
        return look_ms < LOOK_MAX_MS ? look_ms : LOOK_MAX_MS;
    return left_ms(worker) > 0 ? left_ms(worker) : 0;
}

static void expect(struct worker *worker)
{
    if (mode_of(worker) != READINESS_NOTIFY)
        loop_start_timer(&worker->readiness.timer, delay_ms(worker));
}

static void on_time(struct loop_timer *timer)
{
    struct worker *worker = loop_container(timer, struct worker, readiness.timer);

    if (worker->readiness.socket_fd >= 0 && !worker->readiness.is_read)
        have_read(worker);
    if (worker->state != WORKER_STARTING || worker->readiness.listened_ms == 0)
        return;
    if (readiness_is_reached(worker))
        reach(worker);
    else
        expect(worker);
}

void readiness_init(void (*on_reached)(struct worker *worker))
{
    tell_reached = on_reached;
    receiver_init(on_ready, on_receiver_end);
}

int readiness_begin(struct worker *worker)
{
    worker->readiness.timer.on_time = on_time;
    if (broker.config.ready.mode == READINESS_NOTIFY) {
        int fd = open_socket();
        if (fd < 0)
            return -1;
        begin_to_read(worker, fd);
    }
    worker_set_kept_back(worker, is_kept_back(worker));
    return 0;
}

void readiness_resume(struct worker *worker, int fd, bool is_told, int64_t listened_ms)
{
    worker->readiness.timer.on_time = on_time;
    worker->readiness.is_told = is_told;
    worker->readiness.listened_ms = listened_ms;
    if (fd >= 0)
        begin_to_read(worker, fd);
    worker_set_kept_back(worker, is_kept_back(worker));
    if (worker->state == WORKER_STARTING && listened_ms > 0)
        expect(worker);
}

bool readiness_on_listen(struct worker *worker)
{
    if (worker->readiness.listened_ms == 0) {
        worker->readiness.listened_ms = loop_now_ms();
        journal_touch();
    }
    if (readiness_is_reached(worker))
        return true;
    expect(worker);
    return false;
}
