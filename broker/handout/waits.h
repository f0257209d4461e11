/*
 * waits.h - how long connections had waited, from their handshake on, when the broker handed them
 * to a worker. Of TCP alone; what workers take past the broker is not seen. It costs a
 * getsockopt(2) a connection, so it is measured only for --metrics and --conn-log.
 */
#ifndef SSHIM_BROKER_HANDOUT_WAITS_H
#define SSHIM_BROKER_HANDOUT_WAITS_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/pool/listener.h"

/* The last milliseconds that belong to each count but the last one. */
extern const unsigned waits_limits_ms[LISTENER_WAITS - 1];

/* How long this connection has waited; -1: the kernel does not tell. The server has sent nothing on
 * it yet. Borrows fd. */
int64_t waits_measure_ms(int fd);

/* One was handed out that had waited for so long. */
void waits_note(struct listener *listener, int64_t wait_ms);

#endif
