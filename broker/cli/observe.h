/* observe.h - the programs beside this one that show an instance: the terminal, the metrics. */
#ifndef SSHIM_BROKER_CLI_OBSERVE_H
#define SSHIM_BROKER_CLI_OBSERVE_H

#include "broker/base/config.h"

/* Each executes that program in our place; else gives the exit code, after one line. */
int observe_top(const struct config_target *target);
int observe_metrics(const struct config_target *target);

#endif
