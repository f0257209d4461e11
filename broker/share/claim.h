/* claim.h - a worker asks to share an address: bind(2) of its server. */
#ifndef SSHIM_BROKER_SHARE_CLAIM_H
#define SSHIM_BROKER_SHARE_CLAIM_H

#include <stdbool.h>

#include "broker/pool/session.h"

/* Takes fd. False: the session is over (answered, or the peer misbehaved). */
bool claim_handle(struct session *session, const struct wire_claim *claim, int fd);

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
