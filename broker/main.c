/* main.c - sshim COMMAND: finds the command. */
#include <stdio.h>
#include <string.h>

#include "broker/base/config.h"
#include "broker/base/log.h"
#include "broker/cli/client.h"
#include "broker/diagnose/check.h"
#include "broker/operate/run.h"

#define SSHIM_VERSION "0.1.0"

static int run_status(int argc, char **argv)
{
    struct config_target target;
    int result = config_parse_target(&target, "status", argc, argv);

    if (result >= 0)
        return result;
    return client_run(&target, target.json ? WIRE_COMMAND_STATUS_JSON : WIRE_COMMAND_STATUS);
}

static int run_stop(int argc, char **argv)
{
    struct config_target target;
    int result = config_parse_target(&target, "stop", argc, argv);

    return result >= 0 ? result : client_run(&target, WIRE_COMMAND_STOP);
}

static int run_restart(int argc, char **argv)
{
    struct config_target target;
    int result = config_parse_target(&target, "restart", argc, argv);

    return result >= 0 ? result : client_run(&target, WIRE_COMMAND_RESTART);
}

static int run_upgrade(int argc, char **argv)
{
    struct config_target target;
    int result = config_parse_target(&target, "upgrade", argc, argv);

    return result >= 0 ? result : client_run(&target, WIRE_COMMAND_UPGRADE);
}

static int print_help(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    config_print_help();
    return EXIT_STOPPED;
}

static int print_version(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    puts("sshim " SSHIM_VERSION);
    return EXIT_STOPPED;
}

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"status", run_status},       {"restart", run_restart}, {"upgrade", run_upgrade},
    {"stop", run_stop},           {"check", check_run},     {"help", print_help},
    {"--help", print_help},       {"-h", print_help},       {"version", print_version},
    {"--version", print_version},
};

int main(int argc, char **argv)
{
    if (argc < 2) {
        log_error("no command given; see sshim --help");
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "run") == 0)
        return run_broker(argc - 1, argv + 1, argv);
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    log_error("unknown command '%s'; see sshim --help", argv[1]);
    return EXIT_USAGE;
}
