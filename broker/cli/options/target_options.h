/*
 * target_options.h - the options and arguments of the commands that talk to a broker, read by
 * `sshim COMMAND` and by the broker that receives them as a line.
 */
#ifndef SSHIM_BROKER_CLI_OPTIONS_TARGET_OPTIONS_H
#define SSHIM_BROKER_CLI_OPTIONS_TARGET_OPTIONS_H

#include <stddef.h>

#include "broker/base/config.h"

/*
 * Fills in target; argv[0] is the command. Keeps pointers into argv. DONE: leave with *exit_code,
 * as for run_options_parse(). Not thread-safe (getopt).
 */
enum proceed target_options_parse(struct config_target *target, int argc, char **argv,
                                  int *exit_code);

/* The same without a message: the caller reports the fault. */
enum option_end target_options_read(struct config_target *target, int argc, char **argv,
                                    struct option_fault *fault);

/* The command and its options, but for the instance, as one line between spaces. */
void target_options_format(const struct config_target *target, char *line, size_t size);

#endif
