/*
 * restart.h - the rolling restart: for each slot a successor is started, and only when it is ready
 * does the old worker drain. A successor that does not become ready ends the restart; the old
 * generation serves on.
 */
#ifndef SSHIM_BROKER_LIFE_RESTART_H
#define SSHIM_BROKER_LIFE_RESTART_H

#include <stdbool.h>

#include "broker/life/fleet.h"
#include "broker/pool/session.h"

/*
 * Begins with at most parallel slots at a time. waiter (NULL: nobody) is answered when it is over
 * and belongs to the restart from then on. False: a restart is under way already, or the broker
 * stops.
 */
bool restart_begin(unsigned parallel, struct session *waiter);

/* fleet: the successor of this slot is ready; or has ended, and how. */
void restart_on_ready(struct fleet_slot *slot);
void restart_on_failure(struct fleet_slot *slot, const char *how);

#endif
