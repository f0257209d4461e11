/*
 * front.h - what happens to a connection between accept4(2) and its offer to a worker, where the
 * operator asks for it (--hold). The broker then accepts at once, and a connection goes through
 * stages (stages.h) until it is complete: then it waits, in order, for an idle worker. The broker
 * only peeks; the worker reads everything. Here is which listeners have a front, and how
 * connections leave it:
 *
 *   take_from_backlog -> stages_enter
 *   pump -> front_take                      the oldest complete one
 *
 * A listener with a front is as with --handoff broker: no worker accepts past the broker.
 */
#ifndef SSHIM_BROKER_HANDOUT_FRONT_FRONT_H
#define SSHIM_BROKER_HANDOUT_FRONT_FRONT_H

#include <stdbool.h>

#include "broker/handout/front/held.h"
#include "broker/pool/listener.h"
#include "proto/wire.h"

/* Makes the table, if the configuration asks for a front anywhere. 0, or -1 with the errno of
 * held_init(). */
int front_begin(bool resumes);

/* The rules of access.h have changed: each listener has a front from now on. 0, or -1 with the
 * errno of held_init(). */
int front_enforce(void);

/* WIRE_GRANT_*: what workers have to look up of their connections. */
uint32_t front_flags(void);

/* A listener got its canonical socket: decides whether it has a front. stages_finish() before it
 * ends. */
void front_init(struct listener *listener);

/* Whether connections are accepted while no worker listens: the socket does, by a service manager,
 * and --when-full is asked for. */
bool front_opens_early(const struct listener *listener);

/* Whether one more may be accepted. False: the next ones wait in the kernel's queue. */
bool front_has_room(const struct listener *listener);

/* The oldest one that waits for its client gives way for another: of this listener if it is full,
 * else of the one that holds most. False: there is none. */
bool front_evict(struct listener *listener);

/* Whether a connection is complete. */
bool front_has_complete(const struct listener *listener);

/* Gives the oldest complete connection and its offer, as the worker wants it. False: there is none.
 */
bool front_take(struct listener *listener, bool nonblock, int *fd, struct wire_offer *offer);

/* --skip-dead: closes a connection (takes fd then) that waited in the kernel's queue and whose
 * client has left. */
bool front_skip(struct listener *listener, int fd);

/* Goes on with what the broker before held; map as in survive/state_load.h. The listeners are
 * there. */
void front_load(int (*map)(int fd));

/* Of one listener, for status: what is held now, and what became of the others. */
struct front_totals {
    uint32_t held, complete;
    struct held_counts counts;
};
struct front_totals front_totals(const struct listener *listener);

/* How many the broker has closed. With what is held, handed and direct, all that were accepted. */
uint64_t front_closed(const struct front_totals *totals);

#endif
