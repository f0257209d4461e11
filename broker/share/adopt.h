/*
 * adopt.h - workers that this broker has not started: those that join by SSHIM_BROKER, and those of
 * a broker before it.
 */
#ifndef SSHIM_BROKER_SHARE_ADOPT_H
#define SSHIM_BROKER_SHARE_ADOPT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "broker/pool/worker.h"

/*
 * A process that we did not start wants to be a worker: a new one in a slot of its own, or the one
 * that its parents belong to. NULL when it cannot be watched, or when all is about to end.
 */
struct worker *adopt_joiner(pid_t pid);

/* What another broker left: a slot, and a worker in it. False: its process is gone, another one
 * may have its pid, and the worker is gone now. */
void adopt_slot(unsigned id, unsigned restarts, unsigned failures, uint64_t accepted);
bool adopt_worker(struct worker *worker);

/* After all of that: starts what is missing and drains what is too much. */
void adopt_finish(void);

#endif
