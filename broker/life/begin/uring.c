/*
 * uring.c - see uring.h. A ring alone proves nothing: programs use one for files, and libuv to
 * change its registrations with epoll(7). A listener that is registered there is waited for by
 * epoll, which works as natively.
 */
#include "broker/life/begin/uring.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "broker/base/broker.h"
#include "broker/base/log.h"
#include "broker/base/process/procfs.h"
#include "broker/base/turn.h"

#define FIRST_LOOK_MS 1000

struct look {
    const struct worker *worker;
    pid_t pid;
    bool has_ring;
    bool is_polled; /* or there was no time to find out */
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

/* Lines of proc_pid_fdinfo(5): "tfd: 5 events: 19 data: 5 pos:0 ino:2a sdev:8". */
static bool polls_channel(const struct look *look, int epoll_fd)
{
    char line[256];
    uint64_t ino;
    bool found = false;

    snprintf(line, sizeof line, "/proc/%d/fdinfo/%d", (int)look->pid, epoll_fd);
    FILE *file = fopen(line, "re");
    while (file && !found && fgets(line, sizeof line, file)) {
        const char *text = strstr(line, "ino:");
        found = !turn_has_time() ||
                (text && strncmp(line, "tfd:", 4) == 0 && sscanf(text, "ino:%" SCNx64, &ino) == 1 &&
                 is_channel_of(look->worker, ino));
    }
    if (file)
        fclose(file);
    return found;
}

static bool on_link(int fd, const char *link, void *context)
{
    struct look *look = context;

    look->has_ring |= strcmp(link, "anon_inode:[io_uring]") == 0;
    look->is_polled |= strcmp(link, "anon_inode:[eventpoll]") == 0 && polls_channel(look, fd);
    return !look->is_polled;
}

static bool waits_by_ring(const struct worker *worker)
{
    struct procfs_list tree;
    struct look look = {.worker = worker};

    procfs_list_tree(worker->pid, &tree);
    for (unsigned i = 0; i < tree.count && !look.is_polled; i++) {
        look.pid = tree.at[i];
        if (!procfs_each_link(look.pid, on_link, &look))
            return false;
    }
    return look.has_ring && !look.is_polled;
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

    if (is_never_seen(worker) && waits_by_ring(worker))
        log_error("worker %u (pid %d) seems to wait for connections by io_uring, which passes the "
                  "library by; give --handoff direct, or --intercept seccomp if the program can "
                  "do without io_uring",
                  worker->slot, (int)worker->pid);
}

void uring_watch(struct worker *worker)
{
    if (runtime.handoff == HANDOFF_DIRECT)
        return; /* the descriptor is the listening socket itself */
    worker->start_timer.on_time = on_ring_look;
    loop_start_timer(&worker->start_timer, FIRST_LOOK_MS);
}
