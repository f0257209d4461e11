/*
 * fleet.h - the slots: starts the workers, starts them again when they end, replaces them one by
 * one.
 */
#ifndef SSHIM_BROKER_FLEET_H
#define SSHIM_BROKER_FLEET_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "broker/worker.h"

struct fleet_slot {
    unsigned id;
    struct worker *worker;    /* NULL: waits to be started again, or to be joined */
    struct worker *successor; /* started by restart.c, takes over when it is ready */
    unsigned restarts;
    unsigned failures; /* in a row: ended without having been of use */
    bool reported;     /* that it keeps ending */
    uint64_t accepted; /* by workers that are gone */
    struct loop_timer respawn;
};

/* Starts all copies. 0, or -1 with errno ENOMEM. */
int fleet_init(void);

/* A worker listens on something now. */
void fleet_on_listen(struct worker *worker);

/* A worker runs without the library, which has been told: kills it, and all ends when nothing was
 * ever ready. */
void fleet_on_unfit(struct worker *worker);

/* The process of a worker has ended, as waitid(2) tells; frees the worker. */
void fleet_on_end(struct worker *worker, const siginfo_t *info);

/* Starts one more worker for this slot, as its successor. 0, or -1 with the errno of fork(2). */
int fleet_start_successor(struct fleet_slot *slot);

/* A process that we did not start wants to be a worker. NULL with errno when it cannot be watched.
 */
struct worker *fleet_join(pid_t pid);

/* What another broker left: a slot, and a worker in it. False: its process is gone, and so is the
 * worker now. */
void fleet_restore_slot(unsigned id, unsigned restarts, unsigned failures, uint64_t accepted);
bool fleet_watch_adopted(struct worker *worker);

/* After all of that: starts what is missing and drains what is too much. */
void fleet_resume(void);

/* Starts nothing any more. */
void fleet_cease(void);

unsigned fleet_slot_count(void);
struct fleet_slot *fleet_slot(unsigned id);

#endif
