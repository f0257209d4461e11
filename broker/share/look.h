/* look.h - a worker is about to connect to an address that it may be about to bind. */
#ifndef SSHIM_BROKER_SHARE_LOOK_H
#define SSHIM_BROKER_SHARE_LOOK_H

#include <stdbool.h>

#include "broker/pool/session/session.h"

/*
 * WIRE_CLAIM_LOOK. If the address is shared and the worker has neither bound it nor accepted a
 * connection yet, answers with ECONNREFUSED, else with WIRE_PRIVATE: the kernel decides. No process
 * joins by it. Takes fd. Returns false: the session is over.
 */
bool look_handle(struct session *session, const struct wire_claim *claim, int fd);

#endif
