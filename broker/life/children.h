/* children.h - what SIGCHLD tells: ended, stopped and continued processes, and orphans that were
 * given to us. */
#ifndef SSHIM_BROKER_LIFE_CHILDREN_H
#define SSHIM_BROKER_LIFE_CHILDREN_H

#include <signal.h>
#include <stdbool.h>

/* on_other answers for children that are no workers: true if the ended one was its own. */
void children_init(bool (*on_other)(const siginfo_t *info));

/* Reaps and tells fleet.h. Call on SIGCHLD. */
void children_on_signal(void);

#endif
