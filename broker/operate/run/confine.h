/*
 * confine.h - the broker's own rights, with --user and --sandbox.
 *
 * The broker gives up what it need not have, and the deputy does what needs it. Only root has so
 * much to give up, and only where the workers are another user's does it matter. An upgrade
 * executes the new program here: that one must have all rights again.
 */
#ifndef SSHIM_BROKER_OPERATE_RUN_CONFINE_H
#define SSHIM_BROKER_OPERATE_RUN_CONFINE_H

#include <stdbool.h>

/* Does so where it matters; starts the deputy. False after one line: --sandbox cannot be used. */
bool confine(void);

#endif
