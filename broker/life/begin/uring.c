/*
 * uring.c - see uring.h. A ring alone proves nothing: programs use one for files, and libuv to
 * change its registrations with epoll(7). A listener that is registered there is waited for by
 * epoll, which works as natively.
 */
#include "broker/life/begin/uring.h"

#include <string.h>
#include <sys/stat.h>

#include "broker/base/broker.h"
#include "broker/base/log.h"
#include "broker/base/process/glance.h"
#include "broker/base/process/procfs.h"
#include "broker/base/turn.h"

#define FIRST_LOOK_MS 1000
#define PATIENCE_MS 50 /* with all questions of a look */

struct look {
    const struct worker *worker;
    pid_t pid;
    int64_t until_ms;
    bool may_be_polled; /* it is, or that cannot be found out */
};

static bool is_channel_of(const struct worker *worker, uint64_t ino)
{
    const struct channel *channel;
    struct stat info;

    LIST_FOREACH(channel, &worker->channels, of_worker)
        if (channel->their_fd >= 0 && fstat(channel->their_fd, &info) == 0 && info.st_ino == ino)
            return true;
    return false;
}

static bool may_poll_channel(const struct look *look, int epoll_fd)
{
    static struct glance_polled polled;

    if (turn_read_ms() >= look->until_ms || !glance_list_polled(look->pid, epoll_fd, &polled))
        return true;
    for (unsigned i = 0; i < polled.count; i++)
        if (!turn_has_time() || is_channel_of(look->worker, polled.inos[i]))
            return true;
    return false;
}

static bool find_epoll(int fd, const char *link, void *context)
{
    struct look *look = context;

    look->may_be_polled = strcmp(link, "anon_inode:[eventpoll]") == 0 && may_poll_channel(look, fd);
    return !look->may_be_polled;
}

/* The ring first: most workers have none, and nothing is asked about them. */
static bool waits_by_ring(const struct worker *worker)
{
    struct procfs_list tree;
    struct look look = {.worker = worker};

    procfs_list_tree(worker->pid, &tree);
    if (!procfs_list_has_link(&tree, "anon_inode:[io_uring]"))
        return false;
    look.until_ms = turn_read_ms() + PATIENCE_MS;
    for (unsigned i = 0; i < tree.count && !look.may_be_polled; i++) {
        look.pid = tree.at[i];
        look.may_be_polled |= !procfs_each_link(look.pid, find_epoll, &look);
    }
    return !look.may_be_polled;
}

/* It neither waits in a call that the library sees, nor ever returned from one. */
static bool is_never_seen(const struct worker *worker)
{
    const struct channel *channel;

    LIST_FOREACH(channel, &worker->channels, of_worker)
        if (atomic_load(&channel->board->worker.waits) > 0)
            return false;
    return worker_accepted(worker) == 0;
}

static void on_ring_look(struct loop_timer *timer)
{
    const struct worker *worker = loop_container(timer, struct worker, start_timer);

    if (!is_never_seen(worker))
        return;
    if (waits_by_ring(worker))
        log_error("worker %u (pid %d) seems to wait for connections by io_uring, which passes the "
                  "library by; give --handoff direct, or --intercept seccomp if the program can "
                  "do without io_uring",
                  worker->slot, (int)worker->pid);
    log_debug("looked whether worker %u waits by io_uring", worker->slot);
}

void uring_watch(struct worker *worker)
{
    if (runtime.handoff == HANDOFF_DIRECT)
        return; /* the descriptor is the listening socket itself */
    worker->start_timer.on_time = on_ring_look;
    loop_start_timer(&worker->start_timer, FIRST_LOOK_MS);
}
