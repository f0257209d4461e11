/* notify.c - see notify.h. The memory is a table of notices, one for each descriptor. */
#include "broker/share/intercept/notify.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "broker/base/journal.h"
#include "broker/base/log.h"
#include "broker/base/loop/fds.h"
#include "broker/base/process/glance.h"
#include "broker/base/process/procfs.h"
#include "broker/base/turn.h"
#include "broker/pool/closer.h"
#include "broker/share/intercept/filter.h"

#ifndef PIDFD_THREAD
#define PIDFD_THREAD O_EXCL /* since Linux 6.9 */
#endif

#define NOTICES_MAX 8192 /* old and new workers of a rolling restart */
#define RETRY_MS 20
#define CALL_US 30    /* of our time, once the memory of a call is there */
#define SETTLED_MAX 4 /* what is closed for others, without end, must not keep a call */

struct notice {
    uint8_t token[WIRE_TOKEN_SIZE];
    uint32_t slot;
    int32_t fd;       /* number + 1; 0: a free place */
    uint32_t is_open; /* request was received and is not answered */
    uint32_t used;    /* of the first one alone: how many places were ever taken */
    union {
        struct seccomp_notif request;
        uint8_t room[FILTER_REQUEST_MAX];
    } u;
};
static_assert(sizeof(struct notice) == 224, "another broker may have written it");

#define MEMORY_SIZE (NOTICES_MAX * sizeof(struct notice))

static LIST_HEAD(, notify) all_notifies = LIST_HEAD_INITIALIZER(all_notifies);
static struct notice *notices;
static int memory_fd = -1;
static void (*answer_call)(struct notify *notify);

void notify_init(void (*on_call)(struct notify *))
{
    answer_call = on_call;
}

/* --- the memory --- */

/* Looking at a place makes memory of it. */
static unsigned count_used(const struct notice *table)
{
    return table->used < NOTICES_MAX ? table->used : NOTICES_MAX;
}

/* At the first worker with a filter. */
static bool open_memory(void)
{
    if (notices)
        return true;
    int fd = fds_make_memory("sshim-notices", MEMORY_SIZE, false);
    if (fd >= 0)
        notices = fds_map_memory(fd, MEMORY_SIZE);
    if (notices)
        memory_fd = fd;
    else
        fds_close(fd);
    journal_touch();
    return notices != NULL;
}

static struct notice *find_free_notice(void)
{
    for (unsigned i = 0; i < NOTICES_MAX; i++)
        if (notices[i].fd == 0)
            return &notices[i];
    return NULL;
}

int notify_memory_fd(void)
{
    return memory_fd;
}

void notify_each_fd(int fd, void (*visit)(int, void *), void *context)
{
    struct notice *table = fds_map_memory(fd, MEMORY_SIZE);

    for (unsigned i = 0; table && i < count_used(table); i++)
        if (table[i].fd > 0)
            visit(table[i].fd - 1, context);
    if (table)
        munmap(table, MEMORY_SIZE);
}

/* --- the calling process --- */

struct worker *notify_worker(const struct notify *notify)
{
    struct wire_auth auth = {.slot = notify->notice->slot};

    memcpy(auth.token, notify->notice->token, sizeof auth.token);
    return worker_find_by_token(&auth);
}

bool notify_is_valid(const struct notify *notify)
{
    return ioctl(notify->watch.fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &notify->request->id) == 0;
}

pid_t notify_process(const struct notify *notify)
{
    pid_t pid = procfs_process_of((pid_t)notify->request->pid);

    return notify_is_valid(notify) ? pid : 0;
}

/* --- its descriptors --- */

int notify_fetch_fd(const struct notify *notify, int number)
{
    int pid_fd = pidfd_open((pid_t)notify->request->pid, PIDFD_THREAD);

    if (pid_fd < 0 && errno == EINVAL)
        pid_fd = pidfd_open(procfs_process_of((pid_t)notify->request->pid), 0);
    if (pid_fd < 0)
        return -1;
    errno = ESRCH;
    int fd = notify_is_valid(notify) ? pidfd_getfd(pid_fd, number, 0) : -1;
    fds_close(pid_fd);
    return fd;
}

int notify_install_fd(const struct notify *notify, int fd, int number)
{
    struct seccomp_notif_addfd addfd = {
        .id = notify->request->id,
        .flags = SECCOMP_ADDFD_FLAG_SETFD,
        .srcfd = (uint32_t)fd,
        .newfd = (uint32_t)number,
        .newfd_flags = glance_closes_on_exec((pid_t)notify->request->pid, number) ? O_CLOEXEC : 0,
    };

    journal_save_now();
    return ioctl(notify->watch.fd, SECCOMP_IOCTL_NOTIF_ADDFD, &addfd) < 0 ? -1 : 0;
}

int notify_peek(struct notify *notify, uint64_t address, size_t len, peek_done *on_done)
{
    return peek_begin(&notify->peek, (pid_t)notify->request->pid, address, len, on_done);
}

/* --- one call after the other --- */

static void forget(struct notify *notify)
{
    peek_cancel(&notify->peek);
    loop_stop_timer(&notify->retry);
    budget_leave(&notify->waits);
    loop_remove(&notify->watch);
    notify->notice->fd = 0;
    close(notify->watch.fd);
    LIST_REMOVE(notify, all);
    free(notify);
}

static void send_answer(struct notify *notify, int error, uint32_t flags)
{
    union {
        struct seccomp_notif_resp response;
        uint8_t room[FILTER_RESPONSE_MAX];
    } u = {.room = {0}};

    u.response.id = notify->request->id;
    u.response.error = -error;
    u.response.flags = flags;
    journal_save_now();
    /* ENOENT: the caller does not wait any more */
    ioctl(notify->watch.fd, SECCOMP_IOCTL_NOTIF_SEND, &u.response);
    notify->notice->is_open = 0;
    notify->request = NULL;
    loop_modify(&notify->watch, EPOLLIN);
}

void notify_continue_now(struct notify *notify)
{
    send_answer(notify, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE);
}

/* A copy of its socket would keep the address. */
void notify_continue(struct notify *notify)
{
    if (closer_is_settled())
        notify_continue_now(notify);
    else
        notify->when_settled = NOTIFY_CONTINUES;
}

void notify_answer(struct notify *notify, int error)
{
    send_answer(notify, error, 0);
}

static void begin(struct notify *notify, bool again)
{
    notify->request = &notify->notice->u.request;
    notify->again = again;
    if (!again)
        notify->settled = 0;
    loop_modify(&notify->watch, 0);
    struct worker *worker = notify_worker(notify);
    int64_t begin_us = turn_read_us(CLOCK_THREAD_CPUTIME_ID);
    budget_begin(worker ? &worker->budget : NULL);
    answer_call(notify);
    budget_end(turn_read_us(CLOCK_THREAD_CPUTIME_ID) - begin_us + CALL_US);
}

static void on_retry(struct loop_timer *timer)
{
    begin(loop_container(timer, struct notify, retry), true);
}

void notify_retry(struct notify *notify)
{
    loop_start_timer(&notify->retry, RETRY_MS);
}

bool notify_may_settle(const struct notify *notify)
{
    return notify->settled < SETTLED_MAX;
}

void notify_settle(struct notify *notify)
{
    notify->settled++;
    notify->when_settled = NOTIFY_BEGINS;
}

void notify_on_settled(void)
{
    struct notify *notify;

    LIST_FOREACH(notify, &all_notifies, all) {
        bool begins = notify->when_settled == NOTIFY_BEGINS;
        bool continues = notify->when_settled == NOTIFY_CONTINUES;
        notify->when_settled = NOTIFY_AT_ONCE;
        if (continues)
            notify_continue_now(notify);
        else if (begins)
            begin(notify, true);
    }
}

static void on_ready(struct loop_fd *watch, uint32_t events)
{
    struct notify *notify = loop_container(watch, struct notify, watch);
    struct notice *notice = notify->notice;

    if (!(events & EPOLLIN)) { /* no process has this filter any more */
        forget(notify);
        return;
    }
    assert(!notify->request); /* else no more than its end is watched */
    struct worker *worker = notify_worker(notify);
    if (worker && budget_is_spent(&worker->budget)) {
        budget_wait(&worker->budget, &notify->waits, watch);
        return;
    }
    /* Open first: a broker that is killed in between leaves a request that is not valid. */
    memset(&notice->u, 0, sizeof notice->u);
    notice->is_open = 1;
    if (ioctl(watch->fd, SECCOMP_IOCTL_NOTIF_RECV, &notice->u.request) == 0)
        begin(notify, false);
    else
        notice->is_open = 0;
}

/* --- life --- */

/* NULL: memory is out. */
static struct notify *start(struct notice *notice, int fd)
{
    struct notify *notify = calloc(1, sizeof *notify);

    if (!notify)
        return NULL;
    notify->notice = notice;
    notify->watch = (struct loop_fd){fd, on_ready};
    notify->retry.on_time = on_retry;
    peek_init(&notify->peek);
    if (loop_add(&notify->watch, EPOLLIN) < 0) {
        free(notify);
        return NULL;
    }
    notice->fd = fd + 1;
    if (notices->used <= (uint32_t)(notice - notices))
        notices->used = (uint32_t)(notice - notices) + 1;
    LIST_INSERT_HEAD(&all_notifies, notify, all);
    return notify;
}

void notify_watch(const struct worker *worker, int fd)
{
    struct notice *notice = open_memory() ? find_free_notice() : NULL;

    if (notice) {
        *notice = (struct notice){.slot = worker->slot, .used = notice->used};
        memcpy(notice->token, worker->token, sizeof notice->token);
    }
    if (notice && start(notice, fd))
        return;
    log_error("cannot watch what worker %u calls: %s; its bind fails", worker->slot,
              strerror(errno));
    close(fd);
}

static void resume_notice(struct notice *notice, int fd)
{
    struct notify *notify = fd < 0 ? NULL : start(notice, fd);

    if (!notify) {
        notice->fd = 0;
    } else if (notice->is_open) {
        notify->request = &notice->u.request;
        loop_modify(&notify->watch, 0);
        notify_retry(notify);
    }
}

static bool is_watched(const struct worker *worker)
{
    const struct notify *notify;

    LIST_FOREACH(notify, &all_notifies, all)
        if (notify_worker(notify) == worker)
            return true;
    return false;
}

static void resume_memory(int fd, int (*map)(int))
{
    notices = fds_map_memory(fd, MEMORY_SIZE);
    if (!notices)
        abort();
    memory_fd = fd;
    for (unsigned i = 0; i < count_used(notices); i++)
        if (notices[i].fd > 0)
            resume_notice(&notices[i], map(notices[i].fd - 1));
}

void notify_resume(int fd, int (*map)(int))
{
    struct worker *worker;

    if (fd >= 0)
        resume_memory(fd, map);
    LIST_FOREACH(worker, &workers, all)
        if (worker->state == WORKER_STARTING && !worker->joined && !is_watched(worker)) {
            worker->starts_again = true;
            worker_signal(worker, SIGKILL);
        }
}
