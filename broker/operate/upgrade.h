/*
 * upgrade.h - the broker executes its program anew, which may have been replaced on disk: same pid,
 * same workers.
 *
 * A rehearsal (rehearsal.h) first finds out whether the new program can go on. After exec the
 * keeper of the old program stays until the new one serves, that is, until its loop waits for the
 * first time. If the new program ends before, or stands still, the keeper executes the old program
 * again (RESUME_TAKE_BACK); the journal has the connection of the command to answer. The old
 * program tries a program that has ended twice more, since a crash may have ended it.
 */
#ifndef SSHIM_BROKER_OPERATE_UPGRADE_H
#define SSHIM_BROKER_OPERATE_UPGRADE_H

#include <stdbool.h>

#include "broker/pool/session/session.h"

/*
 * Rehearses the program, then executes it. The program that goes on answers waiter (NULL: none).
 * False: an upgrade is under way, or the broker stops.
 */
bool upgrade_begin(struct session *waiter);

/* Before the loop waits: if this is the new program, says that it serves; if it is the old one that
 * goes on again, why. */
void upgrade_settle(void);

#endif
