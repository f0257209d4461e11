/* top.h - `sshim top`: the live view is a program of its own, sshim-top, which has the library for
 * terminals. */
#ifndef SSHIM_BROKER_CLI_TOP_H
#define SSHIM_BROKER_CLI_TOP_H

#include "broker/base/config.h"

/* Executes it for the instance that is meant. Returns only an exit code, after one line. */
int top_run(const struct config_target *target);

#endif
