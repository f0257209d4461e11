/* children.h - handles SIGCHLD: ended, stopped and continued processes, and orphans that have
 * become our children. */
#ifndef SSHIM_BROKER_LIFE_SUPERVISE_CHILDREN_H
#define SSHIM_BROKER_LIFE_SUPERVISE_CHILDREN_H

#include <signal.h>
#include <stdbool.h>

#include "broker/pool/worker.h"

/* on_other answers for children that are no workers: true if the ended one was its own. */
void children_init(bool (*on_other)(const siginfo_t *info));

/* Reaps and tells fleet.h. Call on SIGCHLD. */
void children_on_signal(void);

/* The process of a worker has ended, as waitid(2) says; si_code 0: how is not known. Frees the
 * worker; processes that it left are ended. */
void children_on_worker_end(struct worker *worker, const siginfo_t *info);

/* The process of a worker was stopped by a signal, or goes on after that. */
void children_note_stopped(struct worker *worker, bool stopped);

/* Soon, and then as often as is needed. */
void children_look_at_leftovers(void);

#endif
