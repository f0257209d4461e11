/* main.c - sshim COMMAND: finds the command. */
#include <stdio.h>
#include <string.h>

#include "broker/base/config.h"
#include "broker/base/log.h"
#include "broker/cli/client.h"
#include "broker/cli/follow.h"
#include "broker/cli/instances.h"
#include "broker/cli/list.h"
#include "broker/cli/observe.h"
#include "broker/cli/options/help.h"
#include "broker/cli/options/rows.h"
#include "broker/cli/options/target_options.h"
#include "broker/cli/runtime_paths.h"
#include "broker/operate/rehearsal.h"
#include "broker/operate/run.h"
#include "broker/operate/run/choose.h"
#include "broker/operate/run/trial.h"

#define SSHIM_VERSION "0.1.0"

/* argv[0] is the name of the command; argv[-1] is the program, which a resumed broker executes. */
typedef int command_function(int argc, char **argv);

static int command_run(int argc, char **argv)
{
    return run_broker(argc, argv - 1);
}

static int command_check(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--run") == 0)
        return trial_run(argc, argv - 1);
    return choose_run_check(argc, argv);
}

/* DONE also where no control socket can have the path of --control. */
static enum proceed parse(struct config_target *target, int argc, char **argv, int *exit_code)
{
    char path[INSTANCES_PATH_MAX];

    if (target_options_parse(target, argc, argv, exit_code) == DONE)
        return DONE;
    *exit_code = EXIT_USAGE;
    return !target->control || runtime_paths_control(target->control, NULL, path, sizeof path)
               ? GO_ON
               : DONE;
}

static int run_for(int (*run)(const struct config_target *target), int argc, char **argv)
{
    struct config_target target;
    int exit_code;

    if (parse(&target, argc, argv, &exit_code) == DONE)
        return exit_code;
    return run(&target);
}

static int ask(enum wire_command_code code, int argc, char **argv)
{
    struct config_target target;
    int exit_code;

    if (parse(&target, argc, argv, &exit_code) == DONE)
        return exit_code;
    if (code == WIRE_COMMAND_STATUS && target.json)
        code = WIRE_COMMAND_STATUS_JSON;
    if (target.now || target.operand_count > 0 ||
        target.stop_timeout_s != CONFIG_NOT_GIVEN) /* what only a line can say */
        code = WIRE_COMMAND_LINE;
    return client_run(&target, code);
}

static int command_status(int argc, char **argv)
{
    return ask(WIRE_COMMAND_STATUS, argc, argv);
}

static int command_list(int argc, char **argv)
{
    return run_for(list_run, argc, argv);
}

static int command_top(int argc, char **argv)
{
    return run_for(observe_top, argc, argv);
}

static int command_metrics(int argc, char **argv)
{
    return run_for(observe_metrics, argc, argv);
}

static int command_stop(int argc, char **argv)
{
    return ask(WIRE_COMMAND_STOP, argc, argv);
}

static int command_restart(int argc, char **argv)
{
    return ask(WIRE_COMMAND_RESTART, argc, argv);
}

static int command_upgrade(int argc, char **argv)
{
    return ask(WIRE_COMMAND_UPGRADE, argc, argv);
}

static int command_scale(int argc, char **argv)
{
    return ask(WIRE_COMMAND_LINE, argc, argv);
}

static int command_drain(int argc, char **argv)
{
    return ask(WIRE_COMMAND_LINE, argc, argv);
}

static int command_resume(int argc, char **argv)
{
    return ask(WIRE_COMMAND_LINE, argc, argv);
}

static int command_kill(int argc, char **argv)
{
    return ask(WIRE_COMMAND_LINE, argc, argv);
}

static int command_deny(int argc, char **argv)
{
    return ask(WIRE_COMMAND_LINE, argc, argv);
}

static int command_allow(int argc, char **argv)
{
    return ask(WIRE_COMMAND_LINE, argc, argv);
}

static int command_reopen(int argc, char **argv)
{
    return ask(WIRE_COMMAND_LINE, argc, argv);
}

static int command_events(int argc, char **argv)
{
    struct config_target target;
    int exit_code;

    if (parse(&target, argc, argv, &exit_code) == DONE)
        return exit_code;
    return follow_run(&target);
}

static int command_help(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    help_print();
    return EXIT_STOPPED;
}

static int command_version(int argc, char **argv)
{
    struct config_target target;
    int exit_code;

    if (parse(&target, argc, argv, &exit_code) == DONE)
        return exit_code;
    if (target.json)
        printf("{\"name\":\"sshim\",\"version\":\"" SSHIM_VERSION "\",\"protocol\":%d}\n",
               WIRE_VERSION);
    else
        puts("sshim " SSHIM_VERSION);
    return EXIT_STOPPED;
}

static const struct {
    const char *name;
    command_function *run;
} commands[] = {
#define X(name, arguments, summary) {#name, command_##name},
    COMMANDS(X)
#undef X
        {REHEARSAL_COMMAND, run_rehearsal}, /* for an older version of ourselves */
    {"--help", command_help},
    {"-h", command_help},
    {"--version", command_version},
};

int main(int argc, char **argv)
{
    if (argc < 2) {
        help_print_hint(stderr);
        return EXIT_USAGE;
    }
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    log_error("unknown command '%s'; see sshim --help", argv[1]);
    return EXIT_USAGE;
}
