/*
 * choose.h - chooses how to see the calls of a command: by the preloaded library, or by a seccomp
 * filter, for programs that cannot be preloaded.
 */
#ifndef SSHIM_BROKER_OPERATE_RUN_CHOOSE_H
#define SSHIM_BROKER_OPERATE_RUN_CHOOSE_H

#include <stdbool.h>

#include "broker/base/config.h"

/*
 * Decides for broker.config.command and sets runtime.intercept and what follows from it, and
 * broker.library_path if the build for another libc fits. Logs one line if it takes the filter
 * without --intercept seccomp. False: neither works, which one line has said.
 * check_set_user() comes first.
 */
bool choose_way(void);

/* Whether options that have been read anew can be served in the way that was chosen; logs why not.
 * Another library may be taken for a new command. */
bool choose_stays(const struct config *next);

/* broker.config has other options: whether a launcher may still be started again with a filter. */
void choose_reread(void);

/* `sshim check`: says which way a command goes; returns the exit code: 0 it can be served, 1 it
 * cannot, 2 usage. */
int choose_run_check(int argc, char **argv);

#endif
