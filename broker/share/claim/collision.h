/*
 * collision.h - whether a worker has an address already, so that its bind fails with EADDRINUSE.
 * Looks at the descriptors of its processes, since a close that no hook saw leaves the channel open
 * in the broker. One thread, the broker's.
 */
#ifndef SSHIM_BROKER_SHARE_CLAIM_COLLISION_H
#define SSHIM_BROKER_SHARE_CLAIM_COLLISION_H

#include <stdbool.h>
#include <sys/types.h>

#include "broker/pool/worker.h"
#include "broker/share/claim/socket_look.h"

/*
 * HELD: this worker has bound the listener's address. UNSEEN: the turn had no time to look at all
 * its processes. FREE: it has not, or no process of it has the channel any more; that is closed
 * then. asker: its process that binds. reuse: SO_REUSEPORT is set on the new socket.
 */
enum socket_look collision_look(pid_t asker, const struct worker *worker,
                                const struct listener *listener, bool reuse);

/* Whether a process of the channel's worker has it still, as far as this turn has time to look. */
bool collision_may_be_held(const struct channel *channel);

#endif
