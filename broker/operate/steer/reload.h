/*
 * reload.h - the file of options again, before a restart: what may change while the broker runs
 * changes at once, or with the next worker that is started.
 */
#ifndef SSHIM_BROKER_OPERATE_STEER_RELOAD_H
#define SSHIM_BROKER_OPERATE_STEER_RELOAD_H

#include <stdbool.h>

#include "broker/base/options.h"

/* Gives the deputy what it does when the options change. */
void reload_init(void);

/*
 * told: lines about what has changed and what cannot, "" if there is no file. False: the file
 * cannot be used, nothing has changed, and told is one line that says why. It is logged in any
 * case.
 */
bool reload_options(struct option_fault *told);

#endif
