/* verdict.h - what of the evidence the second copy trips over, and what helps. */
#ifndef SSHIM_OBSERVE_TRIAL_VERDICT_H
#define SSHIM_OBSERVE_TRIAL_VERDICT_H

#include <stdio.h>

/* Prints a line for each such thing: its name; what is wrong; the remedy. How many there are. */
unsigned verdict_print(FILE *out);

#endif
