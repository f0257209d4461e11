/* client.h - `sshim status`, `sshim stop`: the operator's side of the control socket. */
#ifndef SSHIM_BROKER_CLI_CLIENT_H
#define SSHIM_BROKER_CLI_CLIENT_H

#include "broker/base/config.h"
#include "proto/wire.h"

/* Sends the command and prints what comes back. Returns the exit code: 3 for status and 1 for
 * others when there is no answer. */
int client_run(const struct config_target *target, enum wire_command_code code);

#define CLIENT_PATH_MAX 108 /* of a control socket, with its zero, see unix(7) */

/* The same at this control path. -1 when there is no answer, after one line. */
int client_ask(const char *control_path, const struct config_target *target,
               enum wire_command_code code);

/* Calls visit for each socket in the run folder behind which a broker lives. */
typedef void client_visit(const char *control_path, void *context);
void client_each_instance(client_visit *visit, void *context);

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
