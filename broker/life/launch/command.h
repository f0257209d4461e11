/* command.h - starts the command of --on-event. */
#ifndef SSHIM_BROKER_LIFE_LAUNCH_COMMAND_H
#define SSHIM_BROKER_LIFE_LAUNCH_COMMAND_H

#include <sys/types.h>

/* Before deputy_start(). */
void command_init(void);

/*
 * Runs the command of --on-event by `sh -c`, with the rights, the signals, the limits and the
 * scheduling that the broker was started with, in a session of its own, without input, its output
 * on standard error. variables: "NAME=VALUE" texts, each with its zero, and an empty one behind;
 * those whose name does not begin with SSHIM_EVENT are left out. Returns the pid, or -1 with the
 * errno of memfd_create(2), write(2) or deputy_fork().
 */
pid_t command_start(const char *variables);

#endif
