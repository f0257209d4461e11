/* rows.h - every command and every option of sshim, a row each. */
#ifndef SSHIM_BROKER_CLI_OPTIONS_ROWS_H
#define SSHIM_BROKER_CLI_OPTIONS_ROWS_H

#include "broker/base/options.h"

/*
 * The commands: name, arguments, what it does. main.c has a function command_NAME() for each; help
 * prints them.
 */
#define COMMANDS(X)                                                                                \
    X(run, "[options] -- COMMAND [ARGUMENTS]", "run copies of a server behind its address")        \
    X(status, "[--json] [--wait STATE]", "show listeners and workers")                             \
    X(top, "", "watch an instance in the terminal")                                                \
    X(metrics, "", "print what --metrics would serve for Prometheus")                              \
    X(list, "[--json]", "show the instances that run")                                             \
    X(restart, "[SLOT] [--parallel K] [--stop-timeout S] [--no-wait]",                             \
      "replace the workers one by one")                                                            \
    X(scale, "N|+N|-N [--no-wait]", "run more or fewer workers from now on")                       \
    X(drain, "SLOT [--timeout S] [--no-wait]", "give this worker no more connections")             \
    X(resume, "SLOT", "give this worker connections again")                                        \
    X(kill, "SLOT [SIGNAL]", "send a signal to a worker, TERM by default")                         \
    X(deny, "ADDR", "close connections of a client or network from now on")                        \
    X(allow, "ADDR", "take connections of a client or network from now on")                        \
    X(reopen, "", "reopen log files after they were moved away")                                   \
    X(events, "[-f] [--after N]", "show what has happened, a JSON document a line")                \
    X(upgrade, "", "execute the broker's program anew, in place")                                  \
    X(stop, "[--now]", "stop an instance and wait until it is gone")                               \
    X(check, "[--run [options]] [--] COMMAND", "say how a command can be served; try two copies")  \
    X(help, "", "print this text")                                                                 \
    X(version, "[--json]", "print the version")

/* The options of `sshim run`: their fields are in a struct config. */
extern const struct option_table rows_of_run;

/* The options of the commands that talk to a broker: in a struct config_target. */
extern const struct option_table rows_of_targets;

#endif
