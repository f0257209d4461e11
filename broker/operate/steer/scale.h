/*
 * scale.h - more or fewer workers, by command or by signal. The highest slots are filled last and
 * emptied first. The number outlives the broker: it is in the journal.
 */
#ifndef SSHIM_BROKER_OPERATE_STEER_SCALE_H
#define SSHIM_BROKER_OPERATE_STEER_SCALE_H

#include <stdbool.h>

#include "broker/pool/session/session.h"
#include "broker/pool/worker.h"

/*
 * text is N, +N or -N. waiter (NULL: none) is answered when the new workers are ready, or the old
 * ones have ended; with no_wait, and if it cannot be done, at once. It is over or belongs to the
 * command from then on.
 */
void scale_begin(const char *text, bool no_wait, struct session *waiter);

/* The same for a client that has asked the broker before us: it waits for the end of what has
 * begun. */
void scale_join(const char *text, bool no_wait, struct session *waiter);

/* fleet: a worker is about to leave; if it drained, its open connections are cut. */
void scale_on_leave(const struct worker *worker);

#endif
