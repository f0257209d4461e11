/* attach.h - a worker that has a channel's fd but no record of it (exec, SCM_RIGHTS), or shut its
 * channel down. */
#ifndef SSHIM_BROKER_SHARE_CLAIM_ATTACH_H
#define SSHIM_BROKER_SHARE_CLAIM_ATTACH_H

#include <stdbool.h>

#include "broker/pool/session/session.h"

/* Takes fd: the worker's end, or with RENEW the canonical socket; -1: none came. False: the session
 * is over. */
bool attach_handle(struct session *session, const struct wire_attach *attach, int fd);

#endif
