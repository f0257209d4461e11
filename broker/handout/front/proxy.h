/*
 * proxy.h - --accept-proxy: the stage in which a connection waits for its PROXY header. The header
 * is all that the broker ever reads of a connection.
 */
#ifndef SSHIM_BROKER_HANDOUT_FRONT_PROXY_H
#define SSHIM_BROKER_HANDOUT_FRONT_PROXY_H

#include <stdbool.h>

#include "broker/handout/front/held.h"

#define PROXY_TIMEOUT_MS 3000 /* proxy-protocol.txt, 2: at least 3 seconds */

/* A look of stages.c. Puts the header's client in the place of the peer. */
struct held_look proxy_look(struct held *held, uint32_t events);

/* Whether its header was read before, by a broker that was killed. Puts the client in the place of
 * the peer then. */
bool proxy_resume(struct held *held);

#endif
