/*
 * upgrade.h - the broker executes its program anew, which may have been replaced on disk: same pid,
 * same workers. A program that does not start is found out before, and the old one goes on.
 */
#ifndef SSHIM_BROKER_OPERATE_UPGRADE_H
#define SSHIM_BROKER_OPERATE_UPGRADE_H

#include <signal.h>
#include <stdbool.h>

#include "broker/pool/session.h"

/*
 * Tries the program with `version` first, then executes it. waiter (NULL: nobody) is told when that
 * failed; success it sees by the end of its connection. False: an upgrade is under way, or the
 * broker stops.
 */
bool upgrade_begin(struct session *waiter);

/* children: a child has ended, as waitid(2) tells. Whether it was the trial. */
bool upgrade_on_child_end(const siginfo_t *info);

#endif
