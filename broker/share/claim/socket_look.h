/*
 * socket_look.h - whether a process of a worker has a socket.
 *
 * A worker that is our child leaves its orphans to us. After a crash of the broker it is not, and
 * all processes of the machine are looked at, which takes as many turns as it needs.
 */
#ifndef SSHIM_BROKER_SHARE_CLAIM_SOCKET_LOOK_H
#define SSHIM_BROKER_SHARE_CLAIM_SOCKET_LOOK_H

#include <sys/types.h>

#include "broker/pool/worker.h"

enum socket_look {
    SOCKET_LOOK_UNSEEN, /* the turn has no time for all: call again in another one */
    SOCKET_LOOK_HELD,   /* also where the looks have taken seconds */
    SOCKET_LOOK_FREE,
};

/* Looks for the socket with this inode, the end of a channel of this worker, also at processes that
 * have left their parents. One look at a time is under way: another one has to wait, UNSEEN. */
enum socket_look socket_look(const struct worker *worker, ino_t ino);

#endif
