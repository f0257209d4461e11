/* request.h - the requests of workers and operators, and the functions that answer. */
#ifndef SSHIM_BROKER_OPERATE_REQUEST_H
#define SSHIM_BROKER_OPERATE_REQUEST_H

#include "broker/pool/session/session.h"

/* For session_init(). */
bool request_handle(struct session *session, const void *message, int type, int fd);

#endif
