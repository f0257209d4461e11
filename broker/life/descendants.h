/*
 * descendants.h - whose are the processes that were given to us when their parent ended
 * (PR_SET_CHILD_SUBREAPER).
 *
 * The token in the environment tells, unless the program has written a title over it, as
 * setproctitle does. Then the scoreboard tells, which a process keeps mapped though it closes every
 * fd. One that wrote over its environment before it bound anything can only be guessed.
 */
#ifndef SSHIM_BROKER_LIFE_HEIRS_H
#define SSHIM_BROKER_LIFE_HEIRS_H

#include <stdbool.h>
#include <sys/types.h>

#include "broker/pool/worker.h"

/* Whether it is the keeper, or the process of a worker. */
bool descendants_is_known(pid_t pid);

/* A process of this worker, which has just ended, that may go on in its place, or 0. */
pid_t descendants_find(const struct worker *worker);

/* Whether it was started for a worker that is no more. */
bool descendants_is_leftover(pid_t pid);

/* The worker has ended and still has its channels: what it leaves is known later. */
void descendants_note_end(const struct worker *worker);

/* This worker proves that the process is its own: two that were guessed change places. */
void descendants_correct(struct worker *worker, pid_t pid);

#endif
