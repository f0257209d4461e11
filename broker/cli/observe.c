/* observe.c - see observe.h. */
#include "broker/cli/observe.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "broker/base/log.h"
#include "broker/cli/instances.h"
#include "broker/cli/runtime_paths.h"

#define TOP "sshim-top"
#define METRICS "sshim-metrics"

/* The program gets the control path as its argument. missing: what to say where it was not built.
 */
static int execute(const char *name, const char *missing, const struct config_target *target)
{
    char control[INSTANCES_PATH_MAX];
    char program[PATH_MAX];
    char called[32];

    if (!runtime_paths_own_program(name, program, sizeof program)) {
        log_error("%s", missing);
        return EXIT_STATUS_UNKNOWN;
    }
    if (!instances_resolve(target, control))
        return EXIT_STATUS_UNKNOWN;
    memcpy(called, name, strlen(name) + 1);
    char *const arguments[] = {called, control, NULL};
    execv(program, arguments);
    log_error("cannot execute %s: %s; install it again", program, strerror(errno));
    return EXIT_STATUS_UNKNOWN;
}

int observe_top(const struct config_target *target)
{
    return execute(TOP,
                   "there is no top: the program " TOP " was not built; install libncurses-dev and "
                   "libjansson-dev, and build sshim again",
                   target);
}

int observe_metrics(const struct config_target *target)
{
    return execute(METRICS,
                   "there are no metrics: the program " METRICS " was not built; install "
                   "libmicrohttpd-dev and libjansson-dev, and build sshim again",
                   target);
}
