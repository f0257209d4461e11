/*
 * reread.h - the file of options again, while the broker runs, and also under a broker that was
 * executed anew.
 */
#ifndef SSHIM_BROKER_CLI_SETTINGS_REREAD_H
#define SSHIM_BROKER_CLI_SETTINGS_REREAD_H

#include <stdbool.h>

#include "broker/base/options.h"

/* Whether a file was read, here or by the broker before us. */
bool reread_has_file(void);

/*
 * Reads the file again. Of options that may not change while the broker runs the old values stay.
 * try gets the whole command line anew, from "PROGRAM run" on, which stays for ever; argc does not
 * count the program. If the file has a fault, or try gives false, nothing has changed. told: lines
 * about what is new and what stays, or one line, without its end, about the fault; try's is its
 * own.
 */
bool reread_file(bool (*try)(int argc, char **resolved), struct option_fault *told);

/* Before an exec of the broker's own: notes in the environment what reread_recall() needs.
 * unexport: the exec has failed. */
void reread_export(void);
void reread_unexport(void);

/* Takes it from there, in a broker whose command line was resolved by the one before. */
void reread_recall(int argc, char **program_argv);

#endif
