/* run.h - `sshim run`: opens what the broker needs, runs it, cleans up. */
#ifndef SSHIM_BROKER_OPERATE_RUN_H
#define SSHIM_BROKER_OPERATE_RUN_H

/* argc, argv from "run" on; program_argv is all of it, to execute it again. Returns the exit code.
 */
int run_broker(int argc, char **argv, char **program_argv);

/* `sshim rehearse`, with the arguments of run, for rehearsal.h. Returns the exit code. */
int run_rehearsal(int argc, char **argv);

#endif
