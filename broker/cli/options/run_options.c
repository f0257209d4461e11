/* run_options.c - see run_options.h. */
#include "broker/cli/options/run_options.h"

#include <getopt.h>
#include <limits.h>
#include <string.h>

#include "broker/cli/options/help.h"
#include "broker/cli/options/ports.h"
#include "broker/cli/options/rows.h"

/* A command without copies, or copies without a command. */
static enum proceed check_command(const struct config *config, int *exit_code)
{
    *exit_code = EXIT_USAGE;
    if (!config->command && config->workers != 0) {
        log_error("there is no command to run; write 'sshim run [options] -- COMMAND', 'command = "
                  "COMMAND' in a file for --config, or -w 0 to wait for workers that join");
        return DONE;
    }
    if (config->command && config->workers == 0) {
        log_error("-w 0 starts no copy of '%s'; leave the command out to wait for workers that "
                  "join, or give -w 1 or more",
                  config->command[0]);
        return DONE;
    }
    return GO_ON;
}

static enum proceed check_handoff(const struct config *config, int *exit_code)
{
    const char *option = config->conn_log ? "--conn-log" : config_front_option(config);

    if (config->handoff != HANDOFF_DIRECT || !option)
        return GO_ON;
    log_error("with --handoff direct no connection passes the broker, so there is no %s; leave one "
              "of the two out",
              option);
    *exit_code = EXIT_USAGE;
    return DONE;
}

/* A restart would never succeed. */
static enum proceed check_ready(const struct config *config, int *exit_code)
{
    const struct config_ready *ready = &config->ready;
    bool is_unseen = ready->mode == READINESS_ACCEPT && config->handoff == HANDOFF_DIRECT;
    bool is_late = ready->mode == READINESS_DELAY && ready->delay_s >= config->start_timeout_s;

    if (is_unseen)
        log_error("with --handoff direct no worker is seen to wait, so there is no --ready accept; "
                  "leave one of the two out");
    else if (is_late)
        log_error("--ready delay:%u never ends within --start-timeout %u: give a longer "
                  "--start-timeout",
                  ready->delay_s, config->start_timeout_s);
    if (!is_unseen && !is_late)
        return GO_ON;
    *exit_code = EXIT_USAGE;
    return DONE;
}

/* Copies that never come. On how many cores -w auto will run is not known where it is written. */
static enum proceed check_ready_min(const struct config *config, int *exit_code)
{
    unsigned most = config->workers_max > 0 ? config->workers_max : config->workers;

    if (most == 0 || config->workers_auto || config->ready_min <= most)
        return GO_ON;
    log_error("--ready-min %u is never reached with at most %u worker%s: give a smaller one, or "
              "more --workers",
              config->ready_min, most, most == 1 ? "" : "s");
    *exit_code = EXIT_USAGE;
    return DONE;
}

/* Nobody would know whether a worker that is missing has done its work or was not needed. */
static enum proceed check_once(const struct config *config, int *exit_code)
{
    if (!config->once || (config->workers > 0 && !config->workers_max))
        return GO_ON;
    log_error(
        config->workers == 0
            ? "--once is about workers that sshim starts, and with -w 0 there are none; leave "
              "one of the two out"
            : "--once needs a fixed number of workers; give --workers N in place of LOW..HIGH");
    *exit_code = EXIT_USAGE;
    return DONE;
}

/* Who may say where a client comes from is never guessed. */
static enum proceed check_proxy(const struct config *config, int *exit_code)
{
    bool accepts = config_has_rule(&config->accept_proxy);

    if (accepts == (config->proxy_from.count > 0) || config->dry_run)
        return GO_ON;
    log_error(accepts ? "--accept-proxy needs --proxy-from: name the balancers whose PROXY headers "
                        "are to be believed"
                      : "--proxy-from needs --accept-proxy: say which PROXY header the balancers "
                        "send (v1, v2 or any)");
    *exit_code = EXIT_USAGE;
    return DONE;
}

/* A server would find out, and the operator would hear of a bind that fails for no reason. */
static enum proceed check_ports(const struct config *config, int *exit_code)
{
    const char *first, *second;

    switch (ports_find_clash(&config->port, &first, &second)) {
    case PORTS_NO_CLASH: return GO_ON;
    case PORTS_HIDDEN:
        log_error("--port %s has no effect, since --port %s comes before it and is for the same "
                  "port; leave one of the two out, or write the one with a host first",
                  second, first);
        break;
    case PORTS_SAME_END:
        log_error("--port %s and --port %s give one address twice, which a server can bind only "
                  "once; give them different ports",
                  first, second);
        break;
    }
    *exit_code = EXIT_USAGE;
    return DONE;
}

enum proceed run_options_parse(struct config *config, int argc, char **argv, int *exit_code)
{
    *config = (struct config){.backlog = INT_MAX,
                              .ready_fd = -1,
                              .verbosity = LOG_LEVEL_NORMAL,
                              .copy = {.umask = CONFIG_NOT_GIVEN, .nice = CONFIG_NO_NICE}};
    if (options_parse(&rows_of_run, config, argc, argv, help_print, exit_code) == DONE)
        return DONE;
    for (int i = 0; i < config->share.count; i++)
        config->share_all |= strcmp(config->share.at[i], "all") == 0;
    config->command = optind < argc ? argv + optind : NULL;
    if (check_handoff(config, exit_code) == DONE || check_proxy(config, exit_code) == DONE ||
        check_ready(config, exit_code) == DONE || check_ready_min(config, exit_code) == DONE ||
        check_ports(config, exit_code) == DONE || check_once(config, exit_code) == DONE)
        return DONE;
    return check_command(config, exit_code);
}
