/* exit_codes.h - what `sshim run` and the other commands exit with; README.md and sshim(1) list
 * them. */
#ifndef SSHIM_BROKER_BASE_EXIT_CODES_H
#define SSHIM_BROKER_BASE_EXIT_CODES_H

#define EXIT_STOPPED 0          /* run: clean stop; other commands: success */
#define EXIT_USAGE 2            /* invalid command line, or the broker cannot start */
#define EXIT_NEVER_READY 3      /* no worker ever became ready */
#define EXIT_STATUS_DEGRADED 1  /* status: fewer workers are ready than are wanted */
#define EXIT_STATUS_UNKNOWN 3   /* status: nothing runs, or it cannot be asked */
#define EXIT_ADDRESS 4          /* an address, the control socket's included, could not be bound */
#define EXIT_NOT_EXECUTABLE 126 /* as env(1); and a program that cannot be preloaded */
#define EXIT_NOT_FOUND 127      /* as env(1) */

#endif
