/*
 * stages.h - the way of a connection that the broker holds, from accept4(2) until it is complete.
 * It goes through those stages of enum held_stage that its listener asks for; each has a look and a
 * time limit. A stage is a number in enum held_stage, one row of `stages` in stages.c, and a limit.
 *
 *   stages_enter -> advance -> look of the stage, again and again, by the loop
 *
 * What needs no waiting (limits, lists of addresses) is in access.h: it is asked once.
 */
#ifndef SSHIM_BROKER_HANDOUT_FRONT_STAGES_H
#define SSHIM_BROKER_HANDOUT_FRONT_STAGES_H

#include <stdbool.h>

#include "broker/handout/front/held.h"

/* A listener begins; before it ends: closes what is held. */
void stages_init(struct listener *listener);
void stages_finish(struct listener *listener);

/* A connection was accepted (takes fd); offer has its peer. Where the table is full it is closed:
 * front_has_room() was not asked. The caller pumps the listener. */
void stages_enter(struct listener *listener, int fd, const struct wire_offer *offer);

/* The same with one that a broker had that was killed. */
void stages_enter_again(struct listener *listener, int fd, const struct wire_offer *offer);

/* --when-full: no worker has taken a connection (takes fd) that was offered or in hand. */
void stages_turn_away(struct listener *listener, int fd, const struct wire_offer *offer);

/* Goes on with what the broker before held; held_load() has put it into the queues. */
void stages_resume(struct listener *listener);

/* The time limits have changed: of all listeners. */
void stages_reread(void);

/* Gives the descriptor; nothing here knows it any more. */
int stages_leave(struct held *held);

/* Closes the connection, and counts why. */
void stages_drop(struct held *held, enum held_closing why);

/* Closes a connection (takes fd) that is not held, without a sleep. */
void stages_close(int fd, bool by_reset);

#endif
