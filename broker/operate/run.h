/* run.h - `sshim run`: opens what the broker needs, runs it, cleans up. */
#ifndef SSHIM_BROKER_OPERATE_RUN_H
#define SSHIM_BROKER_OPERATE_RUN_H

/* program_argv is the program, "run" and its arguments; argc counts from "run" on. Returns the exit
 * code. */
int run_broker(int argc, char **program_argv);

/* `sshim rehearse`, with the arguments of run, for rehearsal.h. Returns the exit code. */
int run_rehearsal(int argc, char **argv);

#endif
