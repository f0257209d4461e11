/*
 * pick.h - which channel gets the next connection. Reads the scoreboard, changes only the
 * listener's cursor and waits_for_lighter, and what belief_observe() notes.
 */
#ifndef SSHIM_BROKER_HANDOUT_PICK_H
#define SSHIM_BROKER_HANDOUT_PICK_H

#include <sys/socket.h>

#include "broker/base/config.h"
#include "broker/pool/listener.h"

/* Of how many idle channels the least loaded is chosen: all of them in small pools, a moving window
 * in large ones. */
#define PICK_WINDOW 32
/* After this many channels any idle one is good enough. */
#define PICK_REACH 64

/* How long the search waits for a less loaded worker that has just got an offer. */
#define PICK_LIGHTER_MS 5

/* So many untaken offers may a worker have when it is given one ahead of its wait. With 0 a Tcl
 * server took 1.65 waits a connection (see below), and with 2 no less CPU than with 1. */
#define PICK_AHEAD 1

/* If the workers with room have not moved for this long, a worker whose fd table is nearly full
 * gets connections too, until they move. */
#define PICK_REST_MS 25

/*
 * An idle channel by the policy, or NULL if none is idle. NULL with
 * listener->pick.waits_for_lighter set: an idle worker exists, but a less loaded one is due within
 * PICK_LIGHTER_MS. A worker whose fd table is nearly full is given only if all tables are, or the
 * others have not moved for PICK_REST_MS.
 */
struct channel *pick_idle(struct listener *listener, enum config_balance balance, int64_t now_ms);

/* Notes whether --leader says of this listener that one worker alone gets its connections, which
 * all functions here then keep to. Once it is bound, and whenever the option has changed. */
void pick_init(struct listener *listener);

/* That worker's channel: of the lowest slot that listens, and neither drains nor is stopped. NULL:
 * there is none, or the listener has no leader. */
struct channel *pick_leader(const struct listener *listener);

/* The next search begins at this channel: most likely it is the only idle one. */
void pick_begin_at(struct channel *channel);

/*
 * The worker of this channel has woken us: whether it gets the next connection even if its loop
 * found something else to do meanwhile. Only in a churn (rate.h), if no worker has less, and where
 * the listener forbids direct takes (BOARD_ANNOUNCES): those are cheaper. For Tcl, whose waits are
 * dear: 4 copies, 64 clients, 1.5 waits a connection instead of 2, and 0.84 of the CPU; 16 clients
 * 0.93. If one worker might have one less, 0.77 and 0.86, but a burst that stays was spread 15 to
 * 17 on four workers instead of 16 each.
 */
bool pick_is_given_ahead(const struct channel *channel);

/* A channel to probe although it seems busy: it listens, holds no untaken offer and is not suspect;
 * or NULL. */
struct channel *pick_busy(struct listener *listener, int64_t now_ms);

/* For BALANCE_SOURCE: the channel of this peer, the same while the set of listening workers does
 * not change; or NULL. */
struct channel *pick_by_source(struct listener *listener, const struct sockaddr_storage *peer);

/* Whether any process of this worker may get connections. */
bool pick_may_choose(const struct worker *worker);

/* Whether a channel takes part at all: listening, not closed, its worker neither draining nor
 * stopped. */
bool pick_is_eligible(const struct channel *channel);

#endif
