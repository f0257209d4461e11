/* look.c - see look.h. */
#include "broker/share/look.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/un.h>

#include "broker/base/broker.h"
#include "broker/base/process/procfs.h"
#include "broker/pool/closer.h"
#include "broker/pool/listener.h"
#include "broker/pool/worker.h"
#include "broker/share/grant.h"

/* The listener that a connection of this socket (borrows) to the address would reach. */
static const struct listener *find_reached(const struct address *address, int fd)
{
    const struct listener *listener;
    struct socket_key key;

    socket_key_read(&key, address, fd);
    TAILQ_FOREACH(listener, &listeners, all)
        if (listener->canonical_fd >= 0 && key.netns == listener->socket.netns &&
            address_reaches(address, &listener->bound, listener->socket.v6only))
            break;
    return listener;
}

/* fd (takes) is the folder of the path. A file with another inode belongs to another program. */
static const struct listener *find_file(const struct wire_claim *claim,
                                        const struct address *address, int fd)
{
    const struct sockaddr_un *un = (const struct sockaddr_un *)&address->storage;
    struct path path;

    if (path_open(&path, fd, un->sun_path) < 0) {
        closer_close(fd);
        return NULL;
    }
    const struct listener *listener = listener_find_path(&path, false);
    path_close(&path);
    bool is_other =
        listener && listener->path.ino && claim->ino && listener->path.ino != claim->ino;
    return is_other ? NULL : listener;
}

/* By --handoff direct a program that is being executed has the listening socket, but no channel. */
static bool has_socket(const struct worker *worker, const struct listener *listener)
{
    return worker_holds(worker, listener) ||
           (runtime.handoff == HANDOFF_DIRECT &&
            procfs_tree_holds_socket(worker->pid, listener->canonical_ino));
}

/* A name of AF_UNIX may be the second one of this worker; a port may be another copy's, which the
 * worker joins as a client once it listens itself. */
static bool is_before_listen(const struct worker *worker, const struct listener *listener)
{
    if (worker_accepted(worker) > 0)
        return false;
    return listener->bound.storage.ss_family == AF_UNIX ? !has_socket(worker, listener)
                                                        : worker_count_channels(worker) == 0;
}

bool look_handle(struct session *session, const struct wire_claim *claim, int fd)
{
    const struct worker *worker = worker_find_by_token(&claim->auth);
    const struct listener *listener = NULL;
    struct address address;

    if (!worker || !address_from_wire(&address, &claim->address)) {
        closer_close(fd);
        return false;
    }
    if (address_is_path(&address)) {
        listener = find_file(claim, &address, fd);
    } else {
        listener = find_reached(&address, fd);
        closer_close(fd);
    }
    if (listener && is_before_listen(worker, listener))
        return grant_answer(session, WIRE_FAILED, ECONNREFUSED);
    return grant_answer(session, WIRE_PRIVATE, 0);
}
