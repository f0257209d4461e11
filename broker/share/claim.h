/* claim.h - a worker asks to share an address: bind(2) of its server. */
#ifndef SSHIM_BROKER_SHARE_CLAIM_H
#define SSHIM_BROKER_SHARE_CLAIM_H

#include <stdbool.h>

#include "broker/base/address.h"
#include "broker/pool/session.h"
#include "broker/pool/worker.h"

/* Takes fd. False: the session is over (answered, or the peer misbehaved). */
bool claim_handle(struct session *session, const struct wire_claim *claim, int fd);

/* What becomes of a bind: FAILED with its errno, PRIVATE: as natively, or SHARED: the canonical
 * socket of this listener takes the place of the program's, which it may be itself. */
struct claim_verdict {
    enum wire_verdict verdict;
    int error;
    struct listener *listener;
};

/*
 * bind(2) of an address that is no path, by this process of the worker, which the user has. fd: its
 * socket (takes), not bound yet; a later copy's is closed. reuseport: SO_REUSEPORT is set on it.
 */
struct claim_verdict claim_bind_name(struct worker *worker, const struct ucred *asker,
                                     const struct address *address, bool reuseport, int fd);

/* The same of a path that the broker does not look up: view says from where it was named, see
 * socket_key.h. VACANT: nobody has it, the worker is to bind it. Later, when it listens on that
 * socket (borrows), it gets a listener; NULL: it stays its own, or memory is out. */
struct claim_verdict claim_bind_file(struct worker *worker, pid_t asker,
                                     const struct address *address, uint64_t view);
struct listener *claim_listen_file(struct worker *worker, pid_t asker,
                                   const struct address *address, uint64_t view, int fd);

/* What a worker with a filter bound is the end of a connection: it is its own from now on. Ends the
 * listener. */
void claim_abandon_client(struct listener *listener);

/* Ends the listeners that no worker has any more and whose address overlaps this one. */
void claim_give_up_unused(struct worker *worker, const struct address *address);

/* The worker that a peer belongs to; one that may join becomes a new one. NULL: it is none of ours.
 */
struct worker *claim_identify(const struct session *session, const struct wire_auth *auth);

/* Whether the peer is a worker or might become one, which it does not by this. */
bool claim_may_ask(const struct session *session, const struct wire_auth *auth);

/* Whether fd (borrowed) is a stream socket of the address's family: nothing else may become
 * canonical. */
bool claim_is_fit(int fd, const struct address *address);

/* Whether two descriptors (borrowed) are of one file. */
bool claim_is_same_file(int a_fd, int b_fd);

#endif
