/* drain.h - the orderly end of one worker: no new connections, TERM when the last one is closed, or
 * after --stop-timeout. */
#ifndef SSHIM_BROKER_LIFE_DRAIN_H
#define SSHIM_BROKER_LIFE_DRAIN_H

#include "broker/pool/worker.h"

void drain_begin(struct worker *worker);

#endif
