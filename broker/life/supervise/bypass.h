/*
 * bypass.h - what happens when a worker runs, or listens by, a program that bypasses the library:
 * all workers start again by --intercept seccomp, or the pool stops. One thread, the broker's.
 */
#ifndef SSHIM_BROKER_LIFE_SUPERVISE_BYPASS_H
#define SSHIM_BROKER_LIFE_SUPERVISE_BYPASS_H

#include <stdbool.h>

#include "broker/life/begin/start.h"
#include "broker/pool/worker.h"

/* A worker runs a program that the library is not in. Kills the worker. */
void bypass_on_unfit(struct worker *worker, const struct preload_check_report *report);

/* A worker in which the library is listens past it. True: the worker is killed, since all start
 * again; else it goes on as it is. */
bool bypass_on_past(struct worker *worker, const struct preload_check_report *report);

/* Whether a worker that was killed to start again is not gone yet: it has its address past the
 * broker until then. */
bool bypass_is_one_ending(void);

#endif
