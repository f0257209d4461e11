/* instances.h - finds the broker that an operator means. */
#ifndef SSHIM_BROKER_CLI_INSTANCES_H
#define SSHIM_BROKER_CLI_INSTANCES_H

#include <stdbool.h>

#include "broker/base/config.h"

#define INSTANCES_PATH_MAX 108 /* of a control path with its NUL */

/*
 * The control path that is meant: --control; the broker of this --name, wherever its control socket
 * is; or the only one that runs. False when there is none, or more than one; where tells, after one
 * line that names what was found and where it was looked for.
 */
bool instances_resolve(const struct config_target *target, char path[INSTANCES_PATH_MAX],
                       bool tells);

/* Visits the control path of each broker that lives in the folders where commands look; with a name
 * only of those that have it, wherever their control socket is. NULL: any name. */
typedef void instances_visitor(const char *control_path, void *context);
void instances_each(const char *name, instances_visitor *visit, void *context);

#endif
