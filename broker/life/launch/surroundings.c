/* surroundings.c - see surroundings.h. */
#include "broker/life/launch/surroundings.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/base/broker.h"
#include "broker/base/log.h"
#include "broker/base/options/parse.h"
#include "broker/diagnose/failure.h"

static bool fail(struct launch_failure *failure, enum launch_step step, int item)
{
    *failure = (struct launch_failure){errno, (int)step, item};
    return false;
}

static const struct config_copy *options(void)
{
    return &broker.config.copy;
}

char *launch_expand(const char *text, unsigned slot)
{
    size_t room = strlen(text) + 1; /* a slot has at most as many digits as {id} characters */
    char *result = malloc(room);
    char *end = result;

    if (!result)
        _exit(EXIT_NOT_EXECUTABLE);
    while (*text) {
        if (strncmp(text, "{id}", 4) == 0) {
            end += snprintf(end, room - (size_t)(end - result), "%u", slot);
            text += 4;
        } else {
            *end++ = *text++;
        }
    }
    *end = '\0';
    return result;
}

void launch_describe(const struct launch_failure *failure, unsigned slot, char *text, size_t size)
{
    const struct config *config = &broker.config;
    const char *reason = strerror(failure->error);
    char *folder;

    switch ((enum launch_step)failure->step) {
    case LAUNCH_EXEC: snprintf(text, size, "'%s': %s", config->command[0], reason); break;
    case LAUNCH_LIBRARY:
        snprintf(text, size, "reading %s as the workers' user: %s", broker.library_path, reason);
        break;
    case LAUNCH_USER:
        snprintf(text, size, "--%s %s: %s", config->user ? "user" : "group",
                 config->user ? config->user : config->group, reason);
        break;
    case LAUNCH_FILTER: snprintf(text, size, "--intercept seccomp: %s", reason); break;
    case LAUNCH_LIMIT:
        snprintf(text, size, "--rlimit %s: %s", config->copy.limits.at[failure->item], reason);
        break;
    case LAUNCH_NICE: snprintf(text, size, "--nice %d: %s", config->copy.nice, reason); break;
    case LAUNCH_CPUS: snprintf(text, size, "--cpus %s: %s", config->copy.cpus, reason); break;
    case LAUNCH_CHDIR:
        folder = launch_expand(config->copy.chdir, slot);
        snprintf(text, size, "--chdir %s: %s", folder, reason);
        free(folder);
        break;
    }
}

static const char *remedy_of(const struct launch_failure *failure)
{
    bool is_forbidden = failure->error == EPERM || failure->error == EACCES;

    switch ((enum launch_step)failure->step) {
    case LAUNCH_LIMIT:
        return is_forbidden ? "only root may raise a hard limit: give a lower one"
                            : "give another limit";
    case LAUNCH_NICE: return "only root may lower it, or whom RLIMIT_NICE permits it";
    case LAUNCH_CPUS: return "give cores that this process may use; 'taskset -cp $$' shows them";
    case LAUNCH_CHDIR:
        return is_forbidden ? "let the workers' user enter that folder" : "make that folder";
    case LAUNCH_USER: return "let root's limits permit it (ulimit -u)";
    case LAUNCH_EXEC:
    case LAUNCH_LIBRARY:
    case LAUNCH_FILTER: break;
    }
    return "";
}

int launch_tell_failure(const struct worker *worker)
{
    const struct launch_failure *failure = &worker->failure;
    char what[512];

    switch ((enum launch_step)failure->step) {
    case LAUNCH_EXEC:
        failure_tell_exec(broker.config.command[0], failure->error);
        return failure->error == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE;
    case LAUNCH_LIBRARY:
        log_error(
            "cannot read %s as the workers' user: %s; install it where they can, or set SSHIM_LIB",
            broker.library_path, strerror(failure->error));
        return EXIT_NOT_EXECUTABLE;
    default:
        launch_describe(failure, worker->slot, what, sizeof what);
        log_error("cannot start worker %u: %s; %s", worker->slot, what, remedy_of(failure));
        return EXIT_USAGE;
    }
}

void launch_set_environment(unsigned slot)
{
    const char *path = getenv("PATH");

    if (options()->clean_env && clearenv() == 0 && path)
        setenv("PATH", path, 1);
    for (int i = 0; i < options()->env.count; i++)
        putenv(launch_expand(options()->env.at[i], slot));
}

/* Of the usable cores that one which is this slot's turn. */
static void choose_cpu(unsigned slot, cpu_set_t *cpus)
{
    unsigned turn = slot % (unsigned)CPU_COUNT(cpus);

    for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, cpus) && turn-- != 0)
            CPU_CLR(cpu, cpus);
}

static bool set_cpus(unsigned slot)
{
    const char *wanted = options()->cpus;
    cpu_set_t cpus;

    if (!wanted)
        return true;
    if (strcmp(wanted, CONFIG_CPUS_SPREAD) != 0)
        option_parse_cpus(wanted, &cpus);
    else if (sched_getaffinity(0, sizeof cpus, &cpus) == 0)
        choose_cpu(slot, &cpus);
    else
        return false;
    return sched_setaffinity(0, sizeof cpus, &cpus) == 0;
}

bool launch_set_limits(unsigned slot, struct launch_failure *failure)
{
    struct rlimit limit;
    int resource;

    if (options()->nice != CONFIG_NO_NICE && setpriority(PRIO_PROCESS, 0, options()->nice) < 0)
        return fail(failure, LAUNCH_NICE, 0);
    if (!set_cpus(slot))
        return fail(failure, LAUNCH_CPUS, 0);
    for (int i = 0; i < options()->limits.count; i++)
        if (option_parse_limit(options()->limits.at[i], &resource, &limit) &&
            prlimit(0, resource, &limit, NULL) < 0)
            return fail(failure, LAUNCH_LIMIT, i);
    return true;
}

bool launch_set_place(unsigned slot, struct launch_failure *failure)
{
    if (options()->umask != CONFIG_NOT_GIVEN)
        umask((mode_t)options()->umask);
    if (!options()->chdir || chdir(launch_expand(options()->chdir, slot)) == 0)
        return true;
    return fail(failure, LAUNCH_CHDIR, 0);
}
