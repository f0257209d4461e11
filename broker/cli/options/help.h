/* help.h - the texts of `sshim --help` and of `sshim` alone. */
#ifndef SSHIM_BROKER_CLI_OPTIONS_HELP_H
#define SSHIM_BROKER_CLI_OPTIONS_HELP_H

#include <stdio.h>

/* To standard output: all commands, all options. */
void help_print(void);

/* Ten lines. */
void help_print_hint(FILE *out);

#endif
