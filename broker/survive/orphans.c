/*
 * orphans.c - see orphans.h. What a worker is and holds is read from where it was put for it: its
 * environment, and the scoreboards in its memory, which tell the canonical sockets. All of that
 * could be forged by a process of the same user; one of another user is not looked at.
 */
#include "broker/survive/orphans.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/base/broker.h"
#include "broker/base/log.h"
#include "broker/base/procfs.h"
#include "broker/life/drain.h"
#include "broker/life/fleet.h"
#include "broker/life/spawn.h"
#include "broker/pool/listener.h"
#include "broker/share/adopt.h"
#include "broker/survive/origin.h"

#define ORPHANS_MAX CONFIG_WORKERS_MAX
#define SOCKETS_MAX 256

struct orphan {
    pid_t pid;
    unsigned slot; /* WIRE_SLOT_NONE: it had joined */
    uint8_t token[WIRE_TOKEN_SIZE];
    uint64_t accepted;
};

static struct {
    struct orphan *at;
    unsigned count;
    struct origin_socket sockets[SOCKETS_MAX];
    unsigned socket_count;
    int error; /* of the first socket that could not be taken */
} found;

/* --- who --- */

static bool is_trusted(pid_t pid)
{
    uid_t uid;

    return procfs_get_uid(pid, &uid) && (uid == broker.uid || uid == spawn_uid());
}

static bool parse_token(const char *text, uint8_t token[WIRE_TOKEN_SIZE])
{
    for (int i = 0; i < WIRE_TOKEN_SIZE; i++)
        if (sscanf(text + 2 * i, "%2hhx", &token[i]) != 1)
            return false;
    return true;
}

static bool read_identity(pid_t pid, struct orphan *orphan)
{
    char text[sizeof broker.control_path + 1];

    *orphan = (struct orphan){.pid = pid, .slot = WIRE_SLOT_NONE};
    if (!procfs_get_environment(pid, "SSHIM_BROKER", text, sizeof text) ||
        strcmp(text, broker.control_path) != 0)
        return false;
    if (!procfs_get_environment(pid, "SSHIM_TOKEN", text, sizeof text))
        return true;
    if (!parse_token(text, orphan->token) ||
        !procfs_get_environment(pid, "SSHIM_WORKER_ID", text, sizeof text))
        return false;
    orphan->slot = (unsigned)strtoul(text, NULL, 10);
    return orphan->slot < CONFIG_WORKERS_MAX;
}

static void visit_process(pid_t pid, void *context)
{
    struct orphan orphan;

    (void)context;
    if (pid != getpid() && found.count < ORPHANS_MAX && is_trusted(pid) &&
        read_identity(pid, &orphan) && procfs_maps(pid, "/memfd:sshim-board"))
        found.at[found.count++] = orphan;
}

static const struct orphan *find(pid_t pid)
{
    for (unsigned i = 0; i < found.count; i++)
        if (found.at[i].pid == pid)
            return &found.at[i];
    return NULL;
}

static bool is_same_worker(const struct orphan *a, const struct orphan *b)
{
    return a->slot == b->slot && memcmp(a->token, b->token, sizeof a->token) == 0;
}

/* A process that another one of the same worker has forked, or one of several whose parent has
 * ended. */
static bool is_part(const struct orphan *orphan)
{
    const struct orphan *parent = find(procfs_parent(orphan->pid));
    const struct worker *worker;

    if (parent && is_same_worker(parent, orphan))
        return true;
    LIST_FOREACH(worker, &workers, all)
        if (!worker->joined && worker->slot == orphan->slot &&
            memcmp(worker->token, orphan->token, sizeof orphan->token) == 0)
            return true;
    return false;
}

/* --- what they hold --- */

static bool is_known(ino_t ino)
{
    for (unsigned i = 0; i < found.socket_count; i++)
        if (found.sockets[i].ino == ino)
            return true;
    return false;
}

static void visit_board(const struct board *board, void *context)
{
    struct orphan *orphan = context;
    ino_t ino = (ino_t)board->broker.canonical_ino;
    bool is_open = (board->worker.flags & (BOARD_LISTENING | BOARD_SHUT)) == BOARD_LISTENING &&
                   !(board->broker.flags & BOARD_DIRECT); /* such a one never asks for a channel */

    uint64_t accepted = board->worker.taken + board->worker.direct;
    uint64_t closed = board->worker.closed;

    orphan->accepted += closed < accepted ? closed : accepted; /* it brings those that are open */
    if (!is_open || found.error || is_known(ino) || found.socket_count == SOCKETS_MAX)
        return;
    int fd = origin_take_socket(orphan->pid, ino);
    if (fd >= 0)
        found.sockets[found.socket_count++] = (struct origin_socket){fd, ino, orphan->pid};
    else if (errno != ENOENT)
        found.error = errno;
}

static void close_sockets(void)
{
    while (found.socket_count)
        close(found.sockets[--found.socket_count].fd);
}

/* --- taking them in --- */

static void adopt_one(const struct orphan *orphan)
{
    if (orphan->slot == WIRE_SLOT_NONE) {
        adopt_joiner(orphan->pid);
        return;
    }
    adopt_slot(orphan->slot, 0, 0, 0);
    struct worker *worker = worker_create(orphan->slot);
    if (!worker)
        return;
    memcpy(worker->token, orphan->token, sizeof worker->token);
    worker->pid = orphan->pid;
    worker->state = WORKER_READY;
    worker->ready_ms = worker->started_ms;
    worker->accepted = orphan->accepted;
    worker->orphaned = true;
    struct fleet_slot *slot = fleet_slot(orphan->slot);
    bool is_current = !slot->worker;
    if (is_current)
        slot->worker = worker;
    if (adopt_worker(worker) && !is_current)
        drain_begin(worker); /* its slot has another one that goes on */
}

static unsigned adopt_all(void)
{
    unsigned count = 0;

    for (unsigned i = 0; i < found.socket_count; i++)
        origin_make_listener(&found.sockets[i]);
    /* In the middle of a restart a slot has two: the younger one stays. */
    for (unsigned i = found.count; i-- > 0;)
        if (!is_part(&found.at[i])) {
            adopt_one(&found.at[i]);
            count++;
        }
    return count;
}

unsigned orphans_adopt(void)
{
    unsigned count = 0;

    if (runtime.handoff == HANDOFF_DIRECT)
        return 0; /* they would give up the socket for a channel in which nothing comes */
    found.at = calloc(ORPHANS_MAX, sizeof *found.at);
    if (!found.at)
        return 0;
    procfs_each(visit_process, NULL);
    for (unsigned i = 0; i < found.count; i++)
        origin_each_board(found.at[i].pid, visit_board, &found.at[i]);
    if (found.error)
        log_error("cannot take over the workers of the broker before: %s; end them by hand (pid %d "
                  "is one)",
                  strerror(found.error), (int)found.at[0].pid);
    if (found.error || found.socket_count == 0)
        close_sockets();
    else
        count = adopt_all();
    free(found.at);
    found.at = NULL;
    return count;
}
