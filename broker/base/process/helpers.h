/*
 * helpers.h - the ends of helper processes: children that clone(2) made without a signal for their
 * end, so that only waitpid(2) with __WCLONE finds them. The owner keeps their pids in an array in
 * which 0 is a free place.
 */
#ifndef SSHIM_BROKER_BASE_PROCESS_HELPERS_H
#define SSHIM_BROKER_BASE_PROCESS_HELPERS_H

#include <stdbool.h>
#include <sys/types.h>

/* As fork(2), with these flags of clone(2). No SIGCHLD tells its end, as with the keeper. */
pid_t helpers_fork(unsigned long flags);

/* In a helper, first: it ends with the broker, has this name, takes no signals, and those to the
 * broker's process group are not for it. */
void helpers_enter(const char *name);

/* From now on a call that sleeps and can be ended is, with EINTR, by the ticks of
 * helpers_set_ticks(): one each period_ms, below 1,000; 0: no more. */
void helpers_take_ticks(void);
void helpers_set_ticks(int period_ms);

/* A signal ends this helper in so many milliseconds, below 1,000, also what it sleeps in, if that
 * can be ended. */
void helpers_end_in(int life_ms);

/* In a helper with a table of its own: closes all but standard input, output, error and this
 * descriptor (takes), and returns the number that it has now. */
int helpers_keep_one(int fd);

/* Frees the places of those that have ended. Whether all have. Does not wait. */
bool helpers_bury(pid_t *pids, int count);

/* Waits for up to 100 ms until all that were killed have ended: one that waits for a file system
 * may not end at all. Whether all have. */
bool helpers_await(pid_t *pids, int count);

/* Closes all in this process's table but standard input, output and error, by processes that share
 * it: one that does not get past a descriptor, see pool/closer.h, costs 100 ms. */
void helpers_empty_table(void);

#endif
