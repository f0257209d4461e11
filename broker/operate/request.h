/* request.h - the requests of workers and operators, and the functions that answer. */
#ifndef SSHIM_BROKER_OPERATE_REQUEST_H
#define SSHIM_BROKER_OPERATE_REQUEST_H

#include "broker/pool/session/session.h"

/* A session_handler: takes fd (-1: none), also if the message is not permitted in this state.
 * False: the session is over. */
bool request_handle(struct session *session, const void *message, int type, int fd);

#endif
