/* claim.h - a worker asks to share an address: bind(2) of its server. */
#ifndef SSHIM_BROKER_SHARE_CLAIM_CLAIM_H
#define SSHIM_BROKER_SHARE_CLAIM_CLAIM_H

#include <stdbool.h>

#include "broker/pool/session/session.h"
#include "broker/pool/worker.h"

/* Takes fd. False: the session is over (answered, or the peer misbehaved). */
bool claim_handle(struct session *session, const struct wire_claim *claim, int fd);

/* The worker that a peer belongs to; a peer that may join becomes a new worker. NULL: it is none of
 * ours. */
struct worker *claim_identify(const struct session *session, const struct wire_auth *auth);

/* Whether the peer is a worker or may become one. It does not join by this. */
bool claim_may_ask(const struct session *session, const struct wire_auth *auth);

#endif
