/* permit.h - `sshim deny` and `sshim allow`: whose connections are taken from now on. */
#ifndef SSHIM_BROKER_OPERATE_STEER_PERMIT_H
#define SSHIM_BROKER_OPERATE_STEER_PERMIT_H

#include <stdbool.h>

#include "broker/pool/session/session.h"

/* text is an address or a network. Answers the session. Survives the broker's death; connections
 * that workers have stay open. */
void permit_change(struct session *session, const char *text, bool denied);

#endif
