/* follow.h - `sshim events`: prints lines as they come, over the broker's death and upgrade. */
#ifndef SSHIM_BROKER_CLI_FOLLOW_H
#define SSHIM_BROKER_CLI_FOLLOW_H

#include "broker/base/config.h"

/* With --follow until the instance has stopped. The exit code of the command. */
int follow_run(struct config_target *target);

#endif
