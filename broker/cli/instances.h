/* instances.h - finds the broker that an operator means. */
#ifndef SSHIM_BROKER_CLI_INSTANCES_H
#define SSHIM_BROKER_CLI_INSTANCES_H

#include <stdbool.h>

#include "broker/base/config.h"

#define INSTANCES_PATH_MAX 108 /* of a control path with its NUL */

enum instances_found { INSTANCES_NONE, INSTANCES_ONE, INSTANCES_SEVERAL };

/*
 * Gives the control path that is meant: --control; the broker of this --name, wherever its control
 * socket is; or the only one that runs. Says nothing if there is none. INSTANCES_SEVERAL after one
 * line that names them.
 */
enum instances_found instances_find(const struct config_target *target,
                                    char path[INSTANCES_PATH_MAX]);

/* The same; false after one line if there is none, or more than one. */
bool instances_resolve(const struct config_target *target, char path[INSTANCES_PATH_MAX]);

/* Visits the control path of each broker that lives in the folders where commands look; with a name
 * only of those that have it, wherever their control socket is. NULL: any name. */
typedef void instances_visitor(const char *control_path, void *context);
void instances_each(const char *name, instances_visitor *visit, void *context);

#endif
