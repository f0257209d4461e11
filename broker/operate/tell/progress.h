/* progress.h - on a terminal, how far the start is: a line below the others, which is gone when all
 * are ready or the broker stops. In a pipe or file there is none. */
#ifndef SSHIM_BROKER_OPERATE_TELL_PROGRESS_H
#define SSHIM_BROKER_OPERATE_TELL_PROGRESS_H

/* Whenever something may have changed. Costs nothing once the start is over. */
void progress_review(void);

#endif
