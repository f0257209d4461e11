/* choose.c - see choose.h. */
#include "broker/operate/run/choose.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "broker/base/broker.h"
#include "broker/base/log.h"
#include "broker/cli/options/help.h"
#include "broker/cli/runtime_paths.h"
#include "broker/diagnose/check.h"
#include "broker/share/intercept/filter.h"

#define EXIT_CANNOT 1
#define LACKS                                                                                      \
    "--handoff broker, --balance, --hold, --accept-timeout, --stuck-warn without --stuck-kill, "   \
    "and counts of what was accepted"

/* Why a filter cannot be used, "" if it can. */
static void judge_filter(const char *program, char *reason, size_t size)
{
    int error = filter_try();

    reason[0] = '\0';
    if (error == EBUSY)
        snprintf(reason, size, "an outer program watches the calls of this one by seccomp already");
    else if (error == ENOSYS || error == EINVAL || error == EOVERFLOW)
        snprintf(reason, size, "this kernel's seccomp does not fit (%s); it takes Linux 5.14",
                 strerror(error));
    else if (error && error != FILTER_NO_NEW_PRIVS)
        snprintf(reason, size,
                 "seccomp is forbidden here (%s); permit it to the container (for Docker: "
                 "--security-opt seccomp=unconfined)",
                 strerror(error));
    else if (error && check_gains_rights(program))
        snprintf(reason, size,
                 "a filter takes its setuid bit or file capabilities away unless CAP_SYS_ADMIN "
                 "sets it; run sshim as root");
}

/* The option that only the library can fulfil, or NULL. */
static const char *option_for_library(const struct config *config)
{
    const char *of_front = config->conn_log ? "--conn-log" : config_front_option(config);

    return of_front                                 ? of_front
           : config->handoff == HANDOFF_BROKER      ? "--handoff broker"
           : config->ready.mode == READINESS_ACCEPT ? "--ready accept"
           : config->workers_max                    ? "--workers LOW..HIGH"
           : config->recycle.conns                  ? "--max-conns"
           : config->balance != BALANCE_LEASTCONN   ? "--balance"
                                                    : NULL;
}

/* The command, and the file that was judged if that is another one. */
static const char *name_of(const char *command, const struct check_report *report)
{
    static char text[2 * PATH_MAX];

    if (strcmp(command, report->program) == 0)
        snprintf(text, sizeof text, "'%s'", command);
    else
        snprintf(text, sizeof text, "'%s' (%s)", command, report->program);
    return text;
}

static void tell_refused(const char *command, const struct check_report *report)
{
    const char *slash = strrchr(broker.library_path, '/');

    log_error("cannot preload %s into %s: %s", slash ? slash + 1 : broker.library_path,
              name_of(command, report), report->reason);
}

/* Up to its remedy: the other way needs none. */
static int cause_length(const struct check_report *report)
{
    return (int)strcspn(report->reason, ";");
}

static void tell_neither(const char *command, const struct check_report *report, const char *reason)
{
    log_error("cannot serve %s: %.*s, nor by --intercept seccomp: %s", name_of(command, report),
              cause_length(report), report->reason, reason);
}

/* By the filter, which was asked for or is all that is left. result: of the library's. */
static bool choose_seccomp(enum check_result result, const struct check_report *report)
{
    const char *command = broker.config.command[0];
    const char *option = option_for_library(&broker.config);
    char reason[256] = "";

    if (option)
        snprintf(reason, sizeof reason, "%s needs the library", option);
    else
        judge_filter(result == CHECK_UNKNOWN ? command : report->program, reason, sizeof reason);
    if (!reason[0]) {
        if (broker.config.intercept == INTERCEPT_AUTO)
            log_info("serving %s by --intercept seccomp: %.*s", name_of(command, report),
                     cause_length(report), report->reason);
        broker_take_filter();
        return true;
    }
    if (result == CHECK_REFUSED)
        tell_neither(command, report, reason);
    else
        log_error("cannot serve '%s' by --intercept seccomp: %s", command, reason);
    return false;
}

/* Whether a launcher whose program bypasses the library may be started again with a filter. */
static void judge_switch(void)
{
    const struct config *config = &broker.config;
    const char *option = option_for_library(config);
    char reason[256];

    if (config->intercept != INTERCEPT_AUTO || (!option && config->handoff != HANDOFF_AUTO))
        return;
    judge_filter("", reason, sizeof reason);
    runtime.may_switch = !option && !reason[0];
    runtime.needs_library = reason[0] ? NULL : option;
}

bool choose_way(void)
{
    enum config_intercept wanted = broker.config.intercept;
    struct check_report report;

    runtime.intercept = INTERCEPT_PRELOAD;
    if (!broker.config.command)
        return true;
    enum check_result result = check_choose(broker.config.command, broker.library_path, &report);
    if (wanted == INTERCEPT_SECCOMP || (wanted == INTERCEPT_AUTO && result == CHECK_REFUSED))
        return choose_seccomp(result, &report);
    if (result == CHECK_REFUSED)
        tell_refused(broker.config.command[0], &report);
    judge_switch();
    return result != CHECK_REFUSED;
}

bool choose_stays(const struct config *next)
{
    struct check_report report;
    const char *option = option_for_library(next);

    if (!next->command)
        return true;
    if (runtime.intercept == INTERCEPT_SECCOMP) {
        if (option)
            log_error("cannot serve '%s' by --intercept seccomp any more: %s needs the library",
                      next->command[0], option);
        return !option;
    }
    if (check_choose(next->command, broker.library_path, &report) != CHECK_REFUSED)
        return true;
    tell_refused(next->command[0], &report);
    return false;
}

void choose_reread(void)
{
    const struct config *config = &broker.config;

    if (!runtime.may_switch && !runtime.needs_library)
        return; /* a filter cannot be used, or nobody would want it */
    runtime.needs_library = option_for_library(config);
    runtime.may_switch = !runtime.needs_library && config->handoff == HANDOFF_AUTO;
}

/* --- sshim check --- */

static int tell_seccomp(const char *command, const struct check_report *report)
{
    char reason[256];

    judge_filter(report->program, reason, sizeof reason);
    if (reason[0]) {
        tell_neither(command, report, reason);
        return EXIT_CANNOT;
    }
    printf("%s: %.*s; sshim serves it by --intercept seccomp, without " LACKS "\n",
           name_of(command, report), cause_length(report), report->reason);
    return EXIT_STOPPED;
}

int choose_run_check(int argc, char **argv)
{
    const struct option_table table = {.command = "check"};
    struct check_report report;
    int exit_code;

    if (options_parse(&table, NULL, argc, argv, help_print, &exit_code) == DONE)
        return exit_code;
    if (optind == argc)
        log_error("there is no command to check; write 'sshim check -- COMMAND'");
    if (optind == argc || !runtime_paths_library(broker.library_path, sizeof broker.library_path))
        return EXIT_USAGE;
    const char *command = argv[optind];
    switch (check_choose(argv + optind, broker.library_path, &report)) {
    case CHECK_LOADS:
        printf("'%s' can be preloaded: the program is %s\n", command, report.program);
        return EXIT_STOPPED;
    case CHECK_REFUSED: return tell_seccomp(command, &report);
    case CHECK_UNKNOWN: break;
    }
    log_error("cannot check '%s': %s; check the command's name and its permissions", command,
              strerror(errno));
    return EXIT_CANNOT;
}
