/*
 * claim.h - what a worker asks: to share an address, or to get back what belongs to a channel it
 * holds.
 */
#ifndef SSHIM_BROKER_CLAIM_H
#define SSHIM_BROKER_CLAIM_H

#include <stdbool.h>

#include "broker/session.h"

/* Both return false when the session is over (answered, or the peer misbehaved). */

/* bind(2) of a worker. Takes fd. */
bool claim_handle(struct session *session, const struct wire_claim *claim, int fd);

/* A worker that has a channel's fd but no record of it, or needs a new channel. Takes fd (or -1).
 */
bool claim_attach(struct session *session, const struct wire_attach *attach, int fd);

/* A channel that is complete: watches it and enters it with its listener and worker. 0, or -1 with
 * errno. */
int claim_watch_channel(struct channel *channel);

#endif
