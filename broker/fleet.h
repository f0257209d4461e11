/*
 * fleet.h - the slots: starts the workers, starts them again when they end, stops them all.
 */
#ifndef SSHIM_BROKER_FLEET_H
#define SSHIM_BROKER_FLEET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "broker/worker.h"

struct fleet_slot {
    unsigned id;
    struct worker *worker; /* NULL: waits to be started again, or to be joined */
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

/* A child of ours changed its state: reap, restart. Call on SIGCHLD. */
void fleet_on_children(void);

/* A process that we did not start wants to be a worker. NULL with errno when it cannot be watched.
 */
struct worker *fleet_join(pid_t pid);

/* TERM to all, then KILL after --grace; the loop ends when nothing is left. A second call kills at
 * once. */
void fleet_stop(int exit_code);

bool fleet_is_stopping(void);

/* What the broker's process returns. */
int fleet_exit_code(void);

unsigned fleet_slot_count(void);
struct fleet_slot *fleet_slot(unsigned id);

#endif
