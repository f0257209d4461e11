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
 * A process that we did not start wants to be a worker: gives that of its parents, or of its tree
 * (those that one program has started, as their library says; all zero: not said), or makes a new
 * one in a slot of its own. It lasts as long as any process has one of its listeners. NULL if it
 * cannot be watched, or if the broker stops.
 */
struct worker *adopt_joiner(pid_t pid, const uint8_t tree[WIRE_TOKEN_SIZE]);

/* What another broker left: a slot, and a worker in it. False: its process is gone, another one
 * may have its pid, and the worker is gone now. */
void adopt_slot(unsigned id, unsigned restarts, unsigned failures, uint64_t accepted);
bool adopt_worker(struct worker *worker);

/* After all of that: starts missing workers and drains surplus ones. */
void adopt_finish(void);

#endif
