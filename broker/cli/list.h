/* list.h - `sshim list`: every instance whose control socket is in the run folder. */
#ifndef SSHIM_BROKER_CLI_LIST_H
#define SSHIM_BROKER_CLI_LIST_H

#include "broker/base/config.h"

/* Prints a row for each, or with --json an array. Returns the exit code: 0, or 1 if one of them did
 * not answer, after a line about it. */
int list_run(const struct config_target *target);

#endif
