/*
 * whims.h - what a server does of itself some day, here when a signal tells it to: server -s. For
 * tests of what happens around it. tests/reliability/victim.py knows the same signals.
 *
 *   WHIM_FORK       it goes into the background: its child serves on with all that it has
 *   WHIM_EXEC       it executes itself, and binds anew
 *   WHIM_EXEC_KEEP  the same, and the listener stays open
 *   WHIM_HANG       does nothing and hears nothing, TERM included, until WHIM_GO_ON, or 20 s long
 *   WHIM_FILL       opens files until its table is full, and closes them 0.7 s later
 */
#ifndef SSHIM_BENCH_WHIMS_H
#define SSHIM_BENCH_WHIMS_H

#include <signal.h>

#define WHIM_FORK SIGUSR1
#define WHIM_EXEC SIGUSR2
#define WHIM_EXEC_KEEP (SIGRTMIN + 1)
#define WHIM_HANG (SIGRTMIN + 2)
#define WHIM_GO_ON (SIGRTMIN + 3)
#define WHIM_FILL (SIGRTMIN + 4)

/* Arms the signals. argv (borrows, for ever): what is executed again; for WHIM_EXEC_KEEP with -k
 * and the number of the listener (borrows) before the rest. */
void whims_begin(char **argv, int listener_fd);

#endif
