/* bind.h - the binding of the canonical socket. sharing.h and collision.h have its questions. */
#ifndef SSHIM_BROKER_SHARE_CLAIM_BIND_H
#define SSHIM_BROKER_SHARE_CLAIM_BIND_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "broker/base/address.h"
#include "broker/pool/socket_key.h"
#include "broker/pool/worker.h"

/* The result of a bind: FAILED with its errno; PRIVATE: as natively; SHARED: the canonical socket
 * of this listener takes the place of the program's socket, which may be that socket itself.
 * settles: none yet, since what had the address is being closed, see closer_is_settled(). looks: as
 * socket_look.h needs another turn. */
struct bind_verdict {
    bool settles;
    bool looks;
    enum wire_verdict verdict;
    int error;
    struct listener *listener;
};

/* reuseport: SO_REUSEPORT is set on the socket. may_settle: else it does neither settle nor look
 * on. */
struct bind_how {
    const struct ucred *asker;
    bool reuseport;
    bool may_settle;
};

/*
 * bind(2) of an address that is no path, by this process of the worker. fd: its socket (takes, but
 * not if it settles or looks), not bound yet; a later copy's is closed.
 */
struct bind_verdict bind_name(struct worker *worker, const struct bind_how *how,
                              const struct address *address, int fd);

/* The same for a path that the broker does not look up: view says from where it was named, see
 * socket_key.h. VACANT: no worker has it, this one is to bind it. When the worker later listens on
 * that socket (borrows), it gets a listener; NULL: the socket stays its own, or memory is out. */
struct bind_verdict bind_file(struct worker *worker, pid_t asker, const struct address *address,
                              uint64_t view);
struct listener *bind_listening_file(struct worker *worker, pid_t asker,
                                     const struct address *address, uint64_t view, int fd);

/* A worker with a filter has connected the socket that it bound: the socket is its own from now on.
 * Ends the listener. */
void bind_abandon(struct listener *listener);

/* Ends the listeners that no worker has any more and whose address overlaps this one. */
void bind_give_up_unused(struct worker *worker, const struct address *address);

/* Whether two descriptors (borrowed) are of one file. */
bool bind_is_same_file(int a_fd, int b_fd);

/* Notes for the report of a failed start that bind(2) gave this errno; the verdict is FAILED. */
struct bind_verdict bind_note_error(struct worker *worker, const struct address *address,
                                    int error);

#endif
