/*
 * descendants.h - whose are the processes that were given to us when their parent ended
 * (PR_SET_CHILD_SUBREAPER).
 *
 * The token in the environment tells. A program that writes a title over its environment, as
 * setproctitle does, still has the file mapped that the library has named after the token.
 */
#ifndef SSHIM_BROKER_LIFE_DESCENDANTS_H
#define SSHIM_BROKER_LIFE_DESCENDANTS_H

#include <stdbool.h>
#include <sys/types.h>

#include "broker/pool/worker.h"

/* Whether it is the keeper, or the process of a worker. */
bool descendants_is_known(pid_t pid);

/* A process of this worker, which has just ended, that may go on in its place, or 0. */
pid_t descendants_find(const struct worker *worker);

/* Whether it was started for a worker that is no more. */
bool descendants_is_leftover(pid_t pid);

#endif
