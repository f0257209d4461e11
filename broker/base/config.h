/*
 * config.h - what the command line of `sshim run` says. Parsing is pure but for messages and
 * --help; nothing here opens or starts anything.
 */
#ifndef SSHIM_BROKER_BASE_CONFIG_H
#define SSHIM_BROKER_BASE_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/base/log.h"

#define EXIT_STOPPED 0          /* clean stop */
#define EXIT_USAGE 2            /* the command line makes no sense */
#define EXIT_NEVER_READY 3      /* no worker ever became ready */
#define EXIT_ADDRESS 4          /* an address, the control socket's included, could not be bound */
#define EXIT_NOT_EXECUTABLE 126 /* as env(1); and a program that cannot be preloaded */
#define EXIT_NOT_FOUND 127      /* as env(1) */

#define CONFIG_WORKERS_MAX 4096
#define CONFIG_PATTERNS_MAX 32

#define CONFIG_HANDOFFS(X) X(AUTO, "auto") X(BROKER, "broker") X(DIRECT, "direct")
#define CONFIG_BALANCES(X)                                                                         \
    X(LEASTCONN, "leastconn") X(ROUNDROBIN, "roundrobin") X(SOURCE, "source") X(FIRST, "first")

enum config_handoff {
#define X(name, text) HANDOFF_##name,
    CONFIG_HANDOFFS(X)
#undef X
};

enum config_balance {
#define X(name, text) BALANCE_##name,
    CONFIG_BALANCES(X)
#undef X
};

struct config_patterns {
    const char *at[CONFIG_PATTERNS_MAX];
    int count;
};

struct config {
    char **command; /* NULL: none */
    unsigned workers;
    const char *name;    /* NULL: from the command */
    const char *control; /* NULL: from the name */
    enum config_handoff handoff;
    enum config_balance balance;
    struct config_patterns share;
    struct config_patterns private;
    bool share_all;
    unsigned grace_s;
    unsigned start_timeout_s;
    unsigned recall_ms;
    unsigned stuck_warn_s; /* 0: never */
    unsigned stuck_kill_s; /* 0: never */
    const char *user;      /* of the workers; NULL: the broker's */
    const char *group;
    int backlog;               /* 0: as the program asks */
    bool exit_on_broker_death; /* workers end when the broker was killed, instead of serving on */
    int ready_fd;              /* -1: none */
    enum log_level verbosity;
};

/* --share all for at most one copy: what it closes is closed, no other copy will come for it. */
static inline bool config_is_exact(const struct config *config)
{
    return config->share_all && config->workers <= 1;
}

/*
 * Fills in config from the arguments behind `sshim run`; keeps pointers into argv. Returns -1 to go
 * on, else the exit code: 0 after --help, EXIT_USAGE after one line that says what is wrong.
 */
int config_parse(struct config *config, int argc, char **argv);

/* The options of the commands that talk to a broker: --name, --control, --json, --parallel. The
 * same contract. */
struct config_target {
    const char *name;
    const char *control;
    bool json;
    unsigned parallel;
};
int config_parse_target(struct config_target *target, const char *command, int argc, char **argv);

/* `sshim check [--] COMMAND`: gives the command, which is never empty. The same contract. */
int config_parse_check(int argc, char **argv, char ***command);

/* The text of `sshim --help`. */
void config_print_help(void);

#endif
