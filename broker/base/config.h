/* config.h - what the options say: of `sshim run`, and of the commands that talk to a broker. */
#ifndef SSHIM_BROKER_BASE_CONFIG_H
#define SSHIM_BROKER_BASE_CONFIG_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "broker/base/cidr.h"
#include "broker/base/log.h"
#include "broker/base/options.h"

#define CONFIG_WORKERS_MAX 4096
#define CONFIG_PATTERNS_MAX 32
#define CONFIG_OPERANDS_MAX 2
#define CONFIG_TEXTS_MAX 64
#define CONFIG_NAME_MAX 63        /* bytes of an instance's name */
#define CONFIG_NOT_GIVEN UINT_MAX /* a number for which 0 means 0 */
#define CONFIG_NO_NICE INT_MAX
#define CONFIG_CPUS_SPREAD "spread"

#define CONFIG_HANDOFFS(X) X(AUTO, "auto") X(BROKER, "broker") X(DIRECT, "direct")
#define CONFIG_BALANCES(X)                                                                         \
    X(LEASTCONN, "leastconn") X(ROUNDROBIN, "roundrobin") X(SOURCE, "source") X(FIRST, "first")

/* In the order of enum log_format. */
#define CONFIG_LOG_FORMATS(X) X(AUTO, "auto") X(HUMAN, "human") X(LOGFMT, "logfmt") X(JSON, "json")
#define CONFIG_HOLDS(X)                                                                            \
    X(NONE, "none") X(DATA, "data") X(LINE, "line") X(HTTP, "http") X(TLS, "tls")

#define CONFIG_INTERCEPTS(X) X(AUTO, "auto") X(PRELOAD, "preload") X(SECCOMP, "seccomp")

/* --ready: see life/begin/readiness.h. "delay:S" is read apart. */
#define CONFIG_READINESS(X)                                                                        \
    X(LISTEN, "listen") X(ACCEPT, "accept") X(NOTIFY, "notify") X(DELAY, "delay:")

enum config_readiness {
#define X(name, text) READINESS_##name,
    CONFIG_READINESS(X)
#undef X
};

/* Which versions of the PROXY header. */
#define CONFIG_ACCEPT_PROXY(X) X(NONE, "none") X(V1, "v1") X(V2, "v2") X(ANY, "any")

enum config_accept_proxy {
#define X(name, text) ACCEPT_PROXY_##name,
    CONFIG_ACCEPT_PROXY(X)
#undef X
};

enum config_intercept {
#define X(name, text) INTERCEPT_##name,
    CONFIG_INTERCEPTS(X)
#undef X
};

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

/* What must be readable before a connection is offered. */
enum config_hold {
#define X(name, text) HOLD_##name,
    CONFIG_HOLDS(X)
#undef X
};

/* What becomes of a connection that no worker can take. */
struct config_when_full {
    enum { WHEN_FULL_QUEUE, WHEN_FULL_CLOSE, WHEN_FULL_ANSWER } kind;
    const char *file; /* with WHEN_FULL_ANSWER */
};

/* In the order of the names in rows.c. */
enum config_hold_close { HOLD_CLOSE_FIN, HOLD_CLOSE_RST };
enum config_broker_death { BROKER_DEATH_SERVE, BROKER_DEATH_EXIT };

struct config_patterns {
    const char *at[CONFIG_PATTERNS_MAX];
    int count;
};

struct config_texts {
    const char *at[CONFIG_TEXTS_MAX];
    int count;
};

/* What each copy is started with. {id} in a text is its slot. */
struct config_copy {
    struct config_texts env; /* NAME=VALUE */
    bool clean_env;
    const char *chdir;          /* NULL: the broker's */
    unsigned umask;             /* CONFIG_NOT_GIVEN: the broker's, and so on */
    int nice;                   /* CONFIG_NO_NICE */
    struct config_texts limits; /* for option_parse_limit() */
    const char *cpus;           /* CONFIG_CPUS_SPREAD or for option_parse_cpus(); NULL */
};

/* KIND[@ADDR] of --hold and --accept-proxy: the last one that matches an address counts. */
struct config_rules {
    struct {
        int kind;            /* enum config_hold, enum config_accept_proxy */
        const char *pattern; /* "all" where none was given */
    } at[CONFIG_PATTERNS_MAX];
    int count;
};

struct config_ready {
    enum config_readiness mode;
    unsigned delay_s; /* with DELAY */
};

/* When a worker is replaced; 0: never for that. */
struct config_recycle {
    unsigned conns; /* that it has accepted */
    unsigned age_s;
    uint64_t rss_bytes;
};

/* Limits for each source: a client, or a network of clients. */
struct config_per_source {
    unsigned conns;                /* open at a time; 0: any number */
    unsigned rate, rate_s;         /* so many in so many seconds; 0: any number */
    unsigned bits_ipv4, bits_ipv6; /* of the network that is one source */
    unsigned penalty_s;
};

/* PATH[,MODE[,GROUP]] of a read-only control socket. */
struct config_read_only {
    char path[108]; /* "": none */
    unsigned mode;
    char group[64]; /* "": that of the broker */
};

struct config {
    char **command; /* NULL: none */
    unsigned workers;
    unsigned workers_max; /* the number follows the load from workers up to here; 0: it does not */
    unsigned scale_after_ms;
    unsigned scale_idle_s;
    bool workers_auto; /* that is what was found here; of so many usable cores: */
    unsigned cores;
    const char *name;    /* NULL: from the command */
    const char *control; /* NULL: from the name */
    struct config_read_only control_ro;
    enum config_intercept intercept; /* how workers' calls are seen */
    enum config_handoff handoff;
    enum config_balance balance;
    struct config_patterns share;
    struct config_patterns unshared;
    struct config_patterns leader;
    struct config_patterns port; /* APP=REAL, see cli/options/ports.h */
    bool share_all;
    struct config_rules hold;
    unsigned hold_timeout_s;
    unsigned hold_max; /* a listener */
    enum config_hold_close hold_close;
    struct config_when_full when_full;
    unsigned full_after_s;
    bool skip_dead;         /* also where --handoff is not broker */
    bool unshared_has_each; /* some pattern is ADDRESS_EACH */
    struct config_rules accept_proxy;
    struct cidr_set proxy_from;
    bool proxy_optional;
    struct cidr_set allow, deny;
    bool unmap;
    struct config_per_source per_source;
    unsigned max_conns_per_worker; /* 0: any number */
    unsigned stop_timeout_s;
    unsigned start_timeout_s;
    bool once;         /* nobody replaces a worker that ends by itself */
    unsigned settle_s; /* how long a new copy must serve before the old one drains */
    unsigned accept_timeout_ms;
    unsigned stuck_warn_s; /* 0: never */
    unsigned stuck_kill_s; /* 0: never */
    const char *user;      /* of the workers; NULL: the broker's */
    const char *group;
    bool sandbox; /* filter the calls of the broker itself */
    struct config_copy copy;
    struct config_recycle recycle;
    const char *pidfile_dir;                  /* NULL: none are written */
    int backlog;                              /* 0: as the program asks */
    enum config_broker_death on_broker_death; /* what workers do when the broker was killed */
    struct config_ready ready;                /* when a worker counts as ready */
    unsigned ready_min;                       /* workers that make the instance ready; 0: all */
    unsigned lame_duck_s;                     /* between TERM and the end of new connections */
    const char *metrics;                      /* where HTTP is served; NULL: nowhere */
    int ready_fd;                             /* -1: none */
    const char *log_file;                     /* NULL: standard error */
    enum log_format log_format;
    const char *conn_log; /* a file, "-" for standard output; NULL: no line for each connection */
    bool log_prefix;
    const char *on_event; /* a command of the shell; NULL: none */
    const char *file;     /* more of them are in this one; NULL: none */
    bool dry_run;
    enum log_level verbosity;
};

/* --share all for at most one copy: a closed listener ends, since no other copy will come for it.
 */
static inline bool config_is_exact(const struct config *config)
{
    return config->share_all && config->workers <= 1 && !config->workers_max;
}

/* Whether there is one whose kind is not "none". */
bool config_has_rule(const struct config_rules *rules);

/* The option by which the broker has to see each connection before a worker does, or NULL. */
const char *config_front_option(const struct config *config);

/* In the order of the names in rows.c. */
enum config_wait { CONFIG_WAIT_NOT, CONFIG_WAIT_READY, CONFIG_WAIT_STOPPED };

/* The options of the commands that talk to a broker. */
struct config_target {
    const char *command;
    const char *name;
    const char *control;
    bool json;
    bool no_wait;
    bool now;
    bool follow;
    bool run;       /* check: read apart, what follows are options of run */
    unsigned after; /* CONFIG_NOT_GIVEN */
    enum config_wait wait;
    unsigned parallel;       /* 0: not given */
    unsigned timeout_s;      /* CONFIG_NOT_GIVEN */
    unsigned stop_timeout_s; /* the same */
    const char *operands[CONFIG_OPERANDS_MAX];
    unsigned operand_count, operands_max;
};

#endif
