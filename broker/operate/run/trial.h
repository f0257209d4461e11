/* trial.h - `sshim check --run`: what a second copy of a server trips over. */
#ifndef SSHIM_BROKER_OPERATE_RUN_TRIAL_H
#define SSHIM_BROKER_OPERATE_RUN_TRIAL_H

/* program_argv: the program, "check", "--run", and what `sshim run` takes. Executes the program
 * that tries it, in our place; else returns the exit code, after one line in the log. */
int trial_run(int argc, char **program_argv);

#endif
