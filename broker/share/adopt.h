/*
 * adopt.h - workers that this broker has not started: joiners (SSHIM_BROKER), and workers of the
 * last broker.
 */
#ifndef SSHIM_BROKER_SHARE_ADOPT_H
#define SSHIM_BROKER_SHARE_ADOPT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "broker/pool/worker.h"

/*
 * A process that we did not start wants to be a worker: makes a new one in a slot of its own, or
 * gives the worker of its parents. NULL if it cannot be watched, or if the broker stops.
 */
struct worker *adopt_joiner(pid_t pid);

/* What another broker left: a slot, and a worker in it. False: its process is gone, another one
 * may have its pid, and the worker is gone now. */
void adopt_slot(unsigned id, unsigned restarts, unsigned failures, uint64_t accepted);
bool adopt_worker(struct worker *worker);

/* After all of that: starts missing workers and drains surplus ones. */
void adopt_finish(void);

#endif
