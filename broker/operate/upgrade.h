/*
 * upgrade.h - the broker executes its program anew, which may have been replaced on disk: same pid,
 * same workers.
 *
 * A program that could not go on is found out before (rehearsal.h). After exec the keeper of the
 * old program stays until the new one serves, that is, until its loop waits for the first time.
 * Should the new one end before, or stand still, then the keeper executes the old program again
 * (RESUME_TAKE_BACK); the journal tells that one who asked for the upgrade.
 */
#ifndef SSHIM_BROKER_OPERATE_UPGRADE_H
#define SSHIM_BROKER_OPERATE_UPGRADE_H

#include <stdbool.h>

#include "broker/pool/session.h"

/*
 * Asks the program, then executes it. waiter (NULL: nobody) is told how that ended, by whichever
 * program goes on. False: an upgrade is under way, or the broker stops.
 */
bool upgrade_begin(struct session *waiter);

/* Before the loop waits: if this is the new program, says that it serves; if it is the old one that
 * goes on again, why. */
void upgrade_settle(void);

#endif
