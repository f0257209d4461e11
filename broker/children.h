/* children.h - what SIGCHLD tells: ended, stopped and continued processes, and orphans that were
 * given to us. */
#ifndef SSHIM_BROKER_CHILDREN_H
#define SSHIM_BROKER_CHILDREN_H

/* Reaps and tells fleet.h. Call on SIGCHLD. */
void children_on_signal(void);

#endif
