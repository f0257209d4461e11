/* control.h - an operator's commands. Only the broker's user and root may give them. */
#ifndef SSHIM_BROKER_OPERATE_CONTROL_H
#define SSHIM_BROKER_OPERATE_CONTROL_H

#include <stdbool.h>

#include "broker/pool/session/session.h"

/* False: the session is over. */
bool control_handle(struct session *session, const struct wire_command *command);

/* For session_init(): the same as a line of text. Peers other than the broker's user and root are
 * refused, or may only read (--control-ro). */
bool control_handle_text(struct session *session, const char *line);

#endif
