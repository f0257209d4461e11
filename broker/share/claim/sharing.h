/*
 * sharing.h - whether an address that a worker binds is shared with the other workers, or its own.
 * Questions only: nothing is changed. One thread, the broker's.
 */
#ifndef SSHIM_BROKER_SHARE_CLAIM_SHARING_H
#define SSHIM_BROKER_SHARE_CLAIM_SHARING_H

#include <stdbool.h>
#include <sys/types.h>

#include "broker/base/address.h"
#include "broker/pool/socket_key.h"
#include "broker/pool/worker.h"

/*
 * Whether this worker, by its process asker, shares the address. Its own are, unless --share says
 * otherwise or the address is or was shared: addresses with port 0, and those that it binds after
 * it has begun to serve (FTP's data ports). A worker that has closed all its listeners begins anew.
 */
bool sharing_covers(const struct worker *worker, pid_t asker, const struct address *address,
                    const struct socket_key *key);

/* Whether --share names the address. */
bool sharing_is_asked(const struct address *address, const struct socket_key *key);

/* Whether a new listener is shared only because the worker has served for no longer than
 * WIRE_BEGINNING_MS. */
bool sharing_is_of_beginning(const struct worker *worker, pid_t asker,
                             const struct address *address, const struct socket_key *key);

#endif
