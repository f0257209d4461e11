/*
 * settings.h - the options of `sshim run` from all sources: command line, environment, file. The
 * rows of rows.c have their names.
 */
#ifndef SSHIM_BROKER_CLI_SETTINGS_SETTINGS_H
#define SSHIM_BROKER_CLI_SETTINGS_SETTINGS_H

#include "broker/base/config.h"

/*
 * Fills in config as run_options_parse() does, from all three. program_argv is the program, "run"
 * and what follows. *resolved says the same as one command line, for ever: a broker that executes
 * it after a crash or an upgrade reads neither the environment nor the file again. Takes our
 * variables out of the environment: they are not for the workers. DONE: leave with *exit_code.
 */
enum proceed settings_read(struct config *config, int argc, char **program_argv, char ***resolved,
                           int *exit_code);

/* After settings_read(): all as one command line, without the options of these names (the last one
 * is NULL). On the heap; NULL: out of memory. */
char **settings_resolve_without(char **program_argv, const char *const *names);

#endif
