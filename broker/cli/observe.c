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

/* The program gets the control path as its argument. */
static int execute(const char *name, const struct config_target *target)
{
    char control[INSTANCES_PATH_MAX];
    char program[PATH_MAX];
    char called[32];

    runtime_paths_own_program(name, program, sizeof program);
    if (!instances_resolve(target, control))
        return EXIT_STATUS_UNKNOWN;
    memcpy(called, name, strlen(name) + 1);
    char *const arguments[] = {called, control, NULL};
    execv(program, arguments);
    log_error("cannot execute %s: %s; install it again", program, strerror(errno));
    return EXIT_STATUS_UNKNOWN;
}

static bool is_built(const char *name)
{
    char program[PATH_MAX];

    return runtime_paths_own_program(name, program, sizeof program);
}

int observe_top(const struct config_target *target)
{
    if (is_built(TOP))
        return execute(TOP, target);
    log_error("there is no top: the program " TOP " was not built; install libncurses-dev and "
              "libjansson-dev, and build sshim again");
    return EXIT_STATUS_UNKNOWN;
}

int observe_metrics(const struct config_target *target)
{
    if (is_built(METRICS))
        return execute(METRICS, target);
    log_error("there are no metrics: the program " METRICS " was not built; install "
              "libmicrohttpd-dev and libjansson-dev, and build sshim again");
    return EXIT_STATUS_UNKNOWN;
}
