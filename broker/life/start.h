/*
 * start.h - the time between a worker's start and its readiness: looks at what it does meanwhile,
 * so that a server without the library is found soon, and ends the waiting at --start-timeout.
 */
#ifndef SSHIM_BROKER_LIFE_START_H
#define SSHIM_BROKER_LIFE_START_H

#include "broker/pool/worker.h"

/* Its process was just started, or adopted while it starts. Uses worker->start_timer until the
 * worker is ready. Ends in fleet_on_listen() or fleet_on_unfit(). */
void start_watch(struct worker *worker);

#endif
