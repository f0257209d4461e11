/*
 * pick.h - which channel gets the next connection. Looks at the scoreboard, changes nothing but the
 * listener's cursor and patience, and what belief_observe() notes.
 */
#ifndef SSHIM_BROKER_HANDOUT_PICK_H
#define SSHIM_BROKER_HANDOUT_PICK_H

#include <sys/socket.h>

#include "broker/base/config.h"
#include "broker/pool/listener.h"

/* Of how many idle channels the least loaded is chosen: all of them in small pools, a moving window
 * in large ones. */
#define PICK_WINDOW 32
/* How many channels are looked at after which one that is idle is good enough. */
#define PICK_REACH 64

/* How long a worker that was given a connection may take to come back before others get what it
 * should have. */
#define PICK_PATIENCE_MS 5

/* How long those with room may be busy before one whose fd table is nearly full gets what they
 * should have. While they do not move it goes on to get it. */
#define PICK_REST_MS 25

/*
 * An idle channel by the policy, or NULL when nobody is idle; or, with
 * listener->pick.waits_for_lighter set, when it is better to wait for somebody else, for
 * PICK_PATIENCE_MS at most. A crowded one only where all are crowded, or the others have not moved
 * for PICK_REST_MS.
 */
struct channel *pick_idle(struct listener *listener, enum config_balance balance, int64_t now_ms);

/* A channel to try although it seems busy: it listens, holds no untaken offer and is not suspect;
 * or NULL. */
struct channel *pick_busy(struct listener *listener, int64_t now_ms);

/* For BALANCE_SOURCE: the channel this peer always gets while the set of listening workers does not
 * change; or NULL. */
struct channel *pick_by_source(struct listener *listener, const struct sockaddr_storage *peer);

/* Whether a channel takes part at all: listening, not closed, its worker neither draining nor
 * stopped. */
bool pick_is_eligible(const struct channel *channel);

#endif
