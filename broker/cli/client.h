/* client.h - `sshim status`, `sshim stop`: the operator's side of the control socket. */
#ifndef SSHIM_BROKER_CLI_CLIENT_H
#define SSHIM_BROKER_CLI_CLIENT_H

#include "broker/base/config.h"
#include "proto/wire.h"

/* Sends the command and prints what comes back; status may wait first (--wait). Returns the exit
 * code: 3 for status and 1 for others when there is no answer, 3 or 1 (degraded) when what status
 * waited for did not come in time. */
int client_run(const struct config_target *target, enum wire_command_code code);

/* The same at this control path, without waiting. -1 when there is no answer, after one line. */
int client_ask(const char *control_path, const struct config_target *target,
               enum wire_command_code code);

#endif
