/* client.h - `sshim status`, `sshim stop`: the operator's side of the control socket. */
#ifndef SSHIM_BROKER_CLI_CLIENT_H
#define SSHIM_BROKER_CLI_CLIENT_H

#include "broker/base/config.h"
#include "proto/wire.h"

/* Sends the command and prints what comes back. Returns the exit code: 3 for status and 1 for
 * others when there is no answer. */
int client_run(const struct config_target *target, enum wire_command_code code);

/* Connects; the caller closes. What is sent and received then has 10 s (EAGAIN after that). -1 with
 * the errno of connect(2), or EPERM: what listens there is neither root's, nor ours, nor (for root)
 * of the user who has the folder. */
int client_connect(const char *control_path);

/*
 * Whether a broker lives at this control path: 1 yes, 0 no, -1 with the errno of
 * client_connect() when that cannot be told.
 */
int client_probe(const char *control_path);

/* The same at the abstract name (without its leading zero) of a broker of this control path. */
int client_probe_abstract(const char *name, const char *control_path);

#endif
