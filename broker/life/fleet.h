/*
 * fleet.h - the slots: starts the workers, starts them again when they end, replaces them one by
 * one.
 */
#ifndef SSHIM_BROKER_LIFE_FLEET_H
#define SSHIM_BROKER_LIFE_FLEET_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "broker/pool/worker.h"

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

/* One more slot, empty. NULL with errno ENOMEM. */
struct fleet_slot *fleet_add_slot(void);

/* Starts a worker in it; when that fails, tries again later. */
void fleet_fill(struct fleet_slot *slot);

/* Under the broker before us a worker was ready: nobody gives up any more. */
void fleet_was_ready(void);

/* The workers are those of a broker before us: what it has said need not be said again. */
void fleet_resume_readiness(void);

unsigned fleet_slot_count(void);
struct fleet_slot *fleet_slot(unsigned id);

#endif
