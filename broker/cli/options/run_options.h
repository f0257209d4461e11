/*
 * run_options.h - the command line of `sshim run` becomes a configuration. Pure but for messages
 * and --help; nothing here opens or starts anything.
 */
#ifndef SSHIM_BROKER_CLI_OPTIONS_RUN_OPTIONS_H
#define SSHIM_BROKER_CLI_OPTIONS_RUN_OPTIONS_H

#include "broker/base/config.h"

/*
 * Fills in config from the arguments; argv[0] is "run". Keeps pointers into argv. DONE: leave with
 * *exit_code, which is 0 after --help and EXIT_USAGE after one line that says what is wrong. Not
 * thread-safe (getopt).
 */
enum proceed run_options_parse(struct config *config, int argc, char **argv, int *exit_code);

#endif
