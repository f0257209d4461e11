/* collision.c - see collision.h. */
#include "broker/share/claim/collision.h"

#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "broker/base/broker.h"
#include "broker/base/loop.h"
#include "broker/base/loop/fds.h"
#include "broker/base/process/procfs.h"
#include "broker/pool/listener.h"

#define GRANT_ARRIVES_MS 2000 /* a stopped or slow process may take longer */

/* A channel's end is in no other worker, so whoever has it is of this one. */
static enum socket_look look_for(const struct worker *worker, ino_t ino, bool direct)
{
    if (!direct)
        return socket_look(worker, ino);
    return procfs_tree_holds_socket(worker->pid, ino) ? SOCKET_LOOK_HELD : SOCKET_LOOK_FREE;
}

static enum socket_look look_for_holder(const struct channel *channel)
{
    struct stat info;

    /* --handoff direct: what listens is the canonical socket itself, and it is not hidden too. A
     * worker with a filter has it since its bind. */
    bool direct = runtime.handoff == HANDOFF_DIRECT &&
                  (channel->listening || worker_is_notified(channel->worker));
    int fd = direct ? channel->listener->canonical_fd : channel->their_fd;

    if (atomic_load(&channel->board->worker.holders) == 0)
        return SOCKET_LOOK_FREE;
    return fstat(fd, &info) < 0 ? SOCKET_LOOK_HELD : look_for(channel->worker, info.st_ino, direct);
}

bool collision_may_be_held(const struct channel *channel)
{
    return look_for_holder(channel) != SOCKET_LOOK_FREE;
}

/* No process has it until the asking process has received the answer. That process sends no other
 * request meanwhile; another process may. */
static bool is_on_its_way(const struct channel *channel, pid_t asker)
{
    return channel->grant.claimant != asker &&
           loop_now_ms() - channel->grant.granted_ms < GRANT_ARRIVES_MS &&
           procfs_parent(channel->grant.claimant) > 0;
}

enum socket_look collision_look(pid_t asker, const struct worker *worker,
                                const struct listener *listener, bool reuse)
{
    struct channel *channel = worker_find_channel(worker, listener);

    if (!channel || (reuse && fds_get_option(listener->canonical_fd, SO_REUSEPORT) > 0))
        return SOCKET_LOOK_FREE;
    if (is_on_its_way(channel, asker))
        return SOCKET_LOOK_HELD;
    enum socket_look look = look_for_holder(channel);
    if (look == SOCKET_LOOK_FREE)
        worker_close_channel(channel);
    return look;
}
