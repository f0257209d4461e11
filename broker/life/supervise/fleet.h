/*
 * fleet.h - keeps every slot filled: starts the workers, decides when a worker that ended is
 * started again, and when to give up.
 */
#ifndef SSHIM_BROKER_LIFE_SUPERVISE_FLEET_H
#define SSHIM_BROKER_LIFE_SUPERVISE_FLEET_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "broker/life/slot.h"

/* Starts all copies. 0, or -1 with errno ENOMEM. */
int fleet_init(void);

/* Before anything is started: makes fleet.c hear of what slot.c and start.c see. on_leave is called
 * when a worker has ended and is about to leave its slot. */
void fleet_set_up(void (*on_leave)(const struct worker *worker));

/* A worker listens on a shared address now. */
void fleet_on_listen(struct worker *worker);

/* The process of a worker has ended, as waitid(2) tells; frees the worker. */
void fleet_on_end(struct worker *worker, const siginfo_t *info);

/* Failures in a row after which a slot counts as broken: further failures are not logged. */
#define FLEET_FAILURES_MAX 3

/* Starts a worker in it; when that fails, tries again later. */
void fleet_fill(struct slot *slot);

/* --once: ends the broker if each worker has ended and none is to be replaced. */
void fleet_end_if_empty(void);

/* How many ready workers make the instance ready (--ready-min). */
unsigned fleet_ready_min(void);

/* Whether so many were ready at some time. */
bool fleet_was_ready(void);

/* The workers are those of the last broker: do not repeat its messages. */
void fleet_resume_readiness(void);

#endif
