/* top.c - see top.h. */
#include "broker/cli/top.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "broker/base/log.h"
#include "broker/cli/instances.h"
#include "broker/cli/runtime_paths.h"

#define PROGRAM "sshim-top"

int top_run(const struct config_target *target)
{
    char control[INSTANCES_PATH_MAX];
    char program[PATH_MAX];

    if (!runtime_paths_own_program(PROGRAM, program, sizeof program)) {
        log_error("there is no top: the program " PROGRAM " was not built; install libncurses-dev "
                  "and libjansson-dev, and build sshim again");
        return EXIT_STATUS_UNKNOWN;
    }
    if (!instances_resolve(target, control))
        return EXIT_STATUS_UNKNOWN;
    char *const arguments[] = {(char[]){PROGRAM}, control, NULL};
    execv(program, arguments);
    log_error("cannot execute %s: %s; install it again", program, strerror(errno));
    return EXIT_STATUS_UNKNOWN;
}
