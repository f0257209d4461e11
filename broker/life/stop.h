/* stop.h - the end of the broker: no new connections, TERM, grace, KILL, gone. */
#ifndef SSHIM_BROKER_LIFE_STOP_H
#define SSHIM_BROKER_LIFE_STOP_H

#include <stdbool.h>

struct worker;

/*
 * TERM to all workers, KILL after --stop-timeout; the loop ends when no process is left. A second
 * call kills at once. exit_code is that of the process; the first call decides. EXIT_STOPPED
 * becomes the status of a worker that has failed under --once.
 */
void stop_begin(int exit_code);

/* The same after --lame-duck, in which connections are taken as before; a second call ends that
 * time. */
void stop_announce(int exit_code);

/* Whether it was called, or the stop is under way. */
bool stop_is_announced(void);

bool stop_is_under_way(void);
int stop_exit_code(void);

/* This worker, which joined, is another process by now. If the stop is under way, that one was not
 * there to be told. */
void stop_tell_heir(const struct worker *worker);

/* Some process has ended: perhaps it was the last one. */
void stop_check(void);

#endif
