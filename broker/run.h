/* run.h - `sshim run`: opens what the broker needs, runs it, cleans up. */
#ifndef SSHIM_BROKER_RUN_H
#define SSHIM_BROKER_RUN_H

/* argv behind "run"; returns the exit code. */
int run_broker(int argc, char **argv);

#endif
