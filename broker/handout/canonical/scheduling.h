/*
 * scheduling.h - how the kernel shares the processors between the broker and its workers.
 *
 * Only what needs no privilege and harms nobody else: the broker lets its workers go first. It
 * never changes a worker.
 */
#ifndef SSHIM_BROKER_HANDOUT_CANONICAL_SCHEDULING_H
#define SSHIM_BROKER_HANDOUT_CANONICAL_SCHEDULING_H

#include <stdbool.h>

enum scheduling {
    SCHEDULING_NORMAL, /* it runs at once when it is woken: SCHED_OTHER */
    SCHEDULING_BATCH,  /* it waits until a processor is free: SCHED_BATCH */
    SCHEDULING_PATIENT /* also, a worker that it wakes goes before it: a request of a long slice,
                        * sched_setattr(2), Linux 6.12. Before that the same as SCHEDULING_BATCH. */
};

/* Notes the policy we were started with. If an administrator has chosen another one than
 * SCHED_OTHER it is kept. resumes: SCHED_BATCH is our own doing, and is over. */
void scheduling_init(bool resumes);

/* Without effect where an administrator has chosen, or where the kernel refuses. */
void scheduling_set(enum scheduling to);

/* In a child that is to become a worker: as we were started. */
void scheduling_restore(void);

/*
 * Has the autogroup of our session, sched(7), take half of the share of another one, so that
 * workers, which have an autogroup of their own (deputy.h), go before us as they would in ours.
 * Only if we lead the session, so that nobody else's processes are in the group, and only if nobody
 * has given it a nice value. Without effect where there are no autogroups.
 */
void scheduling_halve_group(void);

#endif
