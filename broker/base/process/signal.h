/*
 * signal.h - kill(2) for one process or one group. To kill(2) 0 is the caller's own group, and -1
 * is every process: for root, the machine. A number that names neither is refused here, whatever
 * mistake brought it. Nobody else calls kill(2), but for the broker's own end.
 */
#ifndef SSHIM_BROKER_BASE_PROCESS_SIGNAL_H
#define SSHIM_BROKER_BASE_PROCESS_SIGNAL_H

#include <sys/types.h>

/* 0, or -1 with the errno of kill(2); ESRCH where pid is not above 0. */
int signal_process(pid_t pid, int number);

/* The group that this process leads. 0, or -1 with the errno of kill(2); ESRCH where leader is not
 * above 1. */
int signal_group(pid_t leader, int number);

#endif
