/* config.c - the options of each command, a row each, and what they mean together. */
#include "broker/base/config.h"

#include <getopt.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/base/address.h"
#include "broker/base/process/procfs.h"

#define DAY_S 86400

static const char *const intercepts[] = {
#define X(name, text) text,
    CONFIG_INTERCEPTS(X) NULL
#undef X
};

static const char *const handoffs[] = {
#define X(name, text) text,
    CONFIG_HANDOFFS(X) NULL
#undef X
};

static const char *const balances[] = {
#define X(name, text) text,
    CONFIG_BALANCES(X) NULL
#undef X
};

static const char *const log_formats[] = {
#define X(name, text) text,
    CONFIG_LOG_FORMATS(X) NULL
#undef X
};

static const char *const holds[] = {
#define X(name, text) text,
    CONFIG_HOLDS(X) NULL
#undef X
};

static const char *const accept_proxies[] = {
#define X(name, text) text,
    CONFIG_ACCEPT_PROXY(X) NULL
#undef X
};

static const char *const hold_closes[] = {"fin", "rst", NULL};

static const char *const waits[] = {"no", "ready", "stopped", NULL};

static const char *const broker_deaths[] = {"serve", "exit", NULL};

static unsigned usable_cores(void)
{
    cpu_set_t cores;
    return sched_getaffinity(0, sizeof cores, &cores) == 0 ? (unsigned)CPU_COUNT(&cores) : 1;
}

/* The affinity mask says where we may run, the cgroup for how long: whichever is less. */
static void choose_workers(struct config *config)
{
    char group[PATH_MAX];
    unsigned limit;

    procfs_get_cgroup(group, sizeof group);
    limit = procfs_cpu_limit("/sys/fs/cgroup", group);
    config->cores = usable_cores();
    config->workers = limit > 0 && limit < config->cores ? limit : config->cores;
    config->workers_auto = true;
}

/* "2..16" */
static bool read_range(const struct option_row *row, struct config *config, const char *value)
{
    char least[8];
    const char *dots = strstr(value, "..");
    size_t len = (size_t)(dots - value);

    if (len >= sizeof least)
        return false;
    memcpy(least, value, len);
    least[len] = '\0';
    return option_parse_number(least, 1, row->max, &config->workers) &&
           option_parse_number(dots + 2, config->workers, row->max, &config->workers_max);
}

static bool read_workers(const struct option_row *row, void *into, const char *value)
{
    struct config *config = into;

    config->workers_auto = false;
    config->workers_max = 0;
    if (strstr(value, ".."))
        return read_range(row, config, value);
    if (strcmp(value, "auto") != 0)
        return option_number(row, into, value);
    choose_workers(config);
    return true;
}

static bool read_pattern(const struct option_row *row, void *into, const char *value)
{
    struct config_patterns *patterns = (void *)((char *)into + row->offset);

    if (!address_is_pattern(value) || patterns->count == CONFIG_PATTERNS_MAX)
        return false;
    patterns->at[patterns->count++] = value;
    return true;
}

/* "http" or "http@8080": one of the row's names. */
static bool read_rule(const struct option_row *row, void *into, const char *value)
{
    struct config_rules *rules = (void *)((char *)into + row->offset);
    const char *at = strchr(value, '@');
    size_t len = at ? (size_t)(at - value) : strlen(value);
    const char *pattern = at ? at + 1 : "all";

    for (int kind = 0; row->names[kind]; kind++) {
        if (strlen(row->names[kind]) != len || memcmp(row->names[kind], value, len) != 0 ||
            !address_is_pattern(pattern) || rules->count == CONFIG_PATTERNS_MAX)
            continue;
        rules->at[rules->count].kind = kind;
        rules->at[rules->count++].pattern = pattern;
        return true;
    }
    return false;
}

static bool read_unshared(const struct option_row *row, void *into, const char *value)
{
    struct config *config = into;

    if (!address_is_each(value))
        return read_pattern(row, into, value);
    if (config->unshared.count == CONFIG_PATTERNS_MAX)
        return false;
    config->unshared.at[config->unshared.count++] = value;
    config->unshared_has_each = true;
    return true;
}

static bool read_networks(const struct option_row *row, void *into, const char *value)
{
    return cidr_set_add_list((void *)((char *)into + row->offset), value);
}

/* "5" a second, "100/60". */
static bool read_rate(const struct option_row *row, void *into, const char *value)
{
    struct config_per_source *limits = (void *)((char *)into + row->offset);
    const char *slash = strchr(value, '/');
    char number[16] = "";
    size_t len = slash ? (size_t)(slash - value) : strlen(value);

    limits->rate_s = 1;
    if (len >= sizeof number)
        return false;
    memcpy(number, value, len);
    return option_parse_number(number, 1, 1000000, &limits->rate) &&
           (!slash || option_parse_number(slash + 1, 1, DAY_S, &limits->rate_s));
}

static bool read_prefix(const struct option_row *row, void *into, const char *value)
{
    struct config_per_source *limits = (void *)((char *)into + row->offset);
    int end = 0;

    return sscanf(value, "%u,%u%n", &limits->bits_ipv4, &limits->bits_ipv6, &end) == 2 &&
           value[end] == '\0' && strspn(value, "0123456789,") == strlen(value) &&
           limits->bits_ipv4 <= 32 && limits->bits_ipv6 <= 128;
}

/* An int at the row's offset: so many, or 0 for "app". */
static bool read_backlog(const struct option_row *row, void *into, const char *value)
{
    struct config *config = into;
    unsigned number = 0;

    if (strcmp(value, "app") != 0 && !option_parse_number(value, row->min, row->max, &number))
        return false;
    config->backlog = (int)number;
    return true;
}

static bool read_fd(const struct option_row *row, void *into, const char *value)
{
    unsigned number;

    if (!option_parse_number(value, row->min, row->max, &number))
        return false;
    *(int *)(void *)((char *)into + row->offset) = (int)number;
    return true;
}

/* "640": the rights of a file, in octal. */
static bool read_mode(const char *text, unsigned *mode)
{
    char *end;

    if (*text < '0' || *text > '7')
        return false;
    unsigned long value = strtoul(text, &end, 8);
    *mode = (unsigned)value;
    return *end == '\0' && value <= 0777;
}

static bool add_text(const struct option_row *row, void *into, const char *value)
{
    struct config_texts *texts = (void *)((char *)into + row->offset);

    if (texts->count == CONFIG_TEXTS_MAX)
        return false;
    texts->at[texts->count++] = value;
    return true;
}

static bool read_env(const struct option_row *row, void *into, const char *value)
{
    size_t name = strcspn(value, "=");

    return name > 0 && value[name] == '=' && strncmp(value, "SSHIM_", 6) != 0 &&
           add_text(row, into, value);
}

static bool read_umask(const struct option_row *row, void *into, const char *value)
{
    (void)row;
    return read_mode(value, &((struct config *)into)->copy.umask);
}

static bool read_nice(const struct option_row *row, void *into, const char *value)
{
    bool is_negative = *value == '-';
    unsigned number;

    (void)row;
    if (!option_parse_number(value + is_negative, 0, is_negative ? 20 : 19, &number))
        return false;
    ((struct config *)into)->copy.nice = is_negative ? -(int)number : (int)number;
    return true;
}

static bool read_limit(const struct option_row *row, void *into, const char *value)
{
    struct rlimit limit;
    int resource;

    return option_parse_limit(value, &resource, &limit) && add_text(row, into, value);
}

static bool read_cpus(const struct option_row *row, void *into, const char *value)
{
    cpu_set_t cpus;

    return (strcmp(value, CONFIG_CPUS_SPREAD) == 0 || option_parse_cpus(value, &cpus)) &&
           option_text(row, into, value);
}

static bool read_age(const struct option_row *row, void *into, const char *value)
{
    return option_parse_duration(value, (unsigned *)(void *)((char *)into + row->offset));
}

static bool read_size(const struct option_row *row, void *into, const char *value)
{
    return option_parse_size(value, (uint64_t *)(void *)((char *)into + row->offset));
}

static bool read_folder(const struct option_row *row, void *into, const char *value)
{
    return *value && option_text(row, into, value);
}

static bool read_control_ro(const struct option_row *row, void *into, const char *value)
{
    struct config_read_only *socket = (void *)((char *)into + row->offset);
    char mode[8] = "660";

    *socket = (struct config_read_only){.path = ""};
    int parts = sscanf(value, "%107[^,],%7[^,],%63[^,]", socket->path, mode, socket->group);
    size_t len = strlen(socket->path) + (parts > 1 ? 1 + strlen(mode) : 0) +
                 (parts > 2 ? 1 + strlen(socket->group) : 0);
    return parts > 0 && len == strlen(value) && read_mode(mode, &socket->mode);
}

static bool read_address(const struct option_row *row, void *into, const char *value)
{
    struct address address;

    return address_parse(value, &address) && option_text(row, into, value);
}

static bool read_quiet(const struct option_row *row, void *into, const char *value)
{
    (void)row;
    (void)value;
    ((struct config *)into)->verbosity = LOG_LEVEL_QUIET;
    return true;
}

static bool read_verbose(const struct option_row *row, void *into, const char *value)
{
    (void)row;
    (void)value;
    ((struct config *)into)->verbosity = LOG_LEVEL_VERBOSE;
    return true;
}

#define AT(member) .offset = offsetof(struct config, member)
#define SECONDS(member, seconds)                                                                   \
    AT(member), .initial = seconds, .read = option_number, .max = DAY_S,                           \
                .expected = "whole seconds, at most 86400"
#define NETWORKS "addresses or networks as 10.0.0.0/8, separated by commas (at most 256)"
#define PATTERN "PORT, HOST:PORT, [IPV6]:PORT, /PATH, @NAME or all (at most 32 times)"

static const struct option_row run_rows[] = {
    {"workers", 'w', "N|auto",
     "copies to run; LOW..HIGH = as many as the load needs; auto (default) = usable cores, or "
     "fewer if the cgroup's cpu.max says so; 0 "
     "without a command = wait for servers that join by SSHIM_BROKER",
     AT(workers), .initial = "auto", .read = read_workers, .max = CONFIG_WORKERS_MAX,
     .expected = "0 to 4096, LOW..HIGH or 'auto'", .is_live = true},
    {"scale-after", 0, "MS",
     "workers LOW..HIGH: start one more when a connection has waited this long (default 200)",
     AT(scale_after_ms), .initial = "200", .read = option_number, .min = 10, .max = 60000,
     .expected = "milliseconds from 10 to 60000", .is_live = true},
    {"scale-idle", 0, "SECONDS",
     "workers LOW..HIGH: end one when some worker was idle all the time for this long (default 60)",
     AT(scale_idle_s), .initial = "60", .read = option_number, .min = 1, .max = DAY_S,
     .expected = "whole seconds from 1 to 86400", .is_live = true},
    {"max-conns", 0, "N",
     "replace a worker that has accepted this many connections (default 0 = never)",
     AT(recycle.conns), .initial = "0", .read = option_number, .max = UINT_MAX,
     .expected = "a number of connections", .is_live = true},
    {"max-age", 0, "TIME",
     "replace a worker that has lived this long: 90, 30m, 12h, 7d (default 0 = never)",
     AT(recycle.age_s), .initial = "0", .read = read_age,
     .expected = "seconds, or a number with s, m, h or d", .is_live = true},
    {"max-rss", 0, "SIZE",
     "replace a worker whose processes have this much memory resident: 512M (default 0 = never)",
     AT(recycle.rss_bytes), .initial = "0", .read = read_size,
     .expected = "bytes, or a number with K, M, G or T", .is_live = true},
    {"name", 0, "NAME",
     "name of the instance (default: the base name of the command, or of the script that it runs)",
     AT(name), .read = option_text},
    {"control", 0, "PATH",
     "control socket (default: NAME.sock in $XDG_RUNTIME_DIR/sshim, /run/sshim for root, else "
     "/tmp/sshim-UID)",
     AT(control), .read = option_text},
    {"intercept", 0, "WAY",
     "how to learn what a server binds; preload: by the library; seccomp: by the kernel, copies "
     "share the socket; auto (default): preload if the library can be loaded, else seccomp",
     AT(intercept), .read = option_choice, .names = intercepts},
    {"control-ro", 0, "PATH[,MODE[,GROUP]]",
     "a second, read-only control socket: status and list (default MODE 660)", AT(control_ro),
     .read = read_control_ro, .expected = "PATH, PATH,MODE in octal or PATH,MODE,GROUP"},
    {"handoff", 0, "MODE",
     "auto (default): workers may accept by themselves while all are busy; broker: the broker "
     "accepts every connection; direct: workers accept every connection",
     AT(handoff), .read = option_choice, .names = handoffs},
    {"balance", 0, "POLICY",
     "which idle worker: leastconn (default), roundrobin, source (by client address) or first "
     "(lowest slot)",
     AT(balance), .read = option_choice, .names = balances, .is_live = true},
    {"share", 0, "ADDR",
     "also share this address (PORT, HOST:PORT, [IPV6]:PORT, /PATH, @NAME); all = also port 0 and "
     "addresses bound after the first accept; may be repeated",
     AT(share), .read = read_pattern, .expected = PATTERN, .repeats = true, .is_live = true},
    {"unshared", 0, "ADDR",
     "leave this address to each copy; PORT+{id}: copy N gets port PORT+N in its place; may be "
     "repeated",
     AT(unshared), .read = read_unshared, .expected = PATTERN ", or PORT+{id}",
     .old_name = "private", .repeats = true, .is_live = true},
    {"hold", 0, "KIND[@ADDR]",
     "offer a connection only when its first byte (data), line, HTTP request head (http) or TLS "
     "ClientHello (tls) can be read; none (default) = at once; with @ADDR for that address; may be "
     "repeated",
     AT(hold), .read = read_rule, .names = holds, .repeats = true,
     .expected = "none, data, line, http or tls, with @ and an address as for --share"},
    {"hold-timeout", 0, "SECONDS",
     "hold: close a connection that is not complete after this (default 10)", AT(hold_timeout_s),
     .initial = "10", .read = option_number, .min = 1, .max = DAY_S,
     .expected = "whole seconds from 1 to 86400"},
    {"hold-max", 0, "N", "hold: connections of one address at a time (default 4096)", AT(hold_max),
     .initial = "4096", .read = option_number, .min = 1, .max = 65536},
    {"hold-close", 0, "HOW", "hold: close by fin (default) or by rst", AT(hold_close),
     .read = option_choice, .names = hold_closes},
    {"skip-dead", 0, NULL,
     "close connections whose client left while they waited in the kernel's queue (always with "
     "--handoff broker)",
     AT(skip_dead), .read = option_flag},
    {"accept-proxy", 0, "VERSION[@ADDR]",
     "take the client's address from the PROXY header (v1, v2 or any) with which each connection "
     "of "
     "--proxy-from begins; none (default) = there is no header; with @ADDR for that address; may "
     "be repeated",
     AT(accept_proxy), .read = read_rule, .names = accept_proxies, .repeats = true,
     .expected = "none, v1, v2 or any, with @ and an address as for --share"},
    {"proxy-from", 0, "NETWORK,...",
     "the balancers whose headers are believed; connections of others are closed", AT(proxy_from),
     .read = read_networks, .expected = NETWORKS, .repeats = true},
    {"proxy-optional", 0, NULL, "take connections of others as well, which have no header",
     AT(proxy_optional), .read = option_flag},
    {"allow", 0, "NETWORK,...", "take connections of these clients only; may be repeated",
     AT(allow), .read = read_networks, .expected = NETWORKS, .repeats = true},
    {"deny", 0, "NETWORK,...",
     "close connections of these clients at once; the longest network of these two options that "
     "has a client counts; may be repeated",
     AT(deny), .read = read_networks, .expected = NETWORKS, .repeats = true},
    {"max-conns-per-worker", 0, "N",
     "offer a worker no connection while it has so many open (default 0 = any number)",
     AT(max_conns_per_worker), .read = option_number, .max = 1000000},
    {"max-conns-per-source", 0, "N",
     "close connections of a client that has so many open (default 0 = never)",
     AT(per_source.conns), .read = option_number, .max = 65536},
    {"max-rate-per-source", 0, "N[/SECONDS]",
     "close connections of a client that opens more than N in so many seconds (default 1)",
     AT(per_source), .read = read_rate, .expected = "a number, or a number and seconds as 100/60"},
    {"source-prefix", 0, "IPV4,IPV6", "bits of the network that is one source (default 32,64)",
     AT(per_source), .initial = "32,64", .read = read_prefix,
     .expected = "two numbers of bits as 24,64"},
    {"penalty", 0, "SECONDS",
     "close all connections of a source that exceeded a limit for so long (default 0)",
     SECONDS(per_source.penalty_s, "0")},
    {"unmap", 0, NULL, "tell IPv4 clients of IPv6 listeners as IPv4 addresses", AT(unmap),
     .read = option_flag},
    {"stop-timeout", 0, "SECONDS", "how long workers may take to end before KILL (default 25)",
     SECONDS(stop_timeout_s, "25"), .old_name = "grace", .is_live = true},
    {"start-timeout", 0, "SECONDS", "how long a worker may take to listen (default 60)",
     SECONDS(start_timeout_s, "60"), .is_live = true},
    {"settle", 0, "SECONDS",
     "restart: how long a new worker must serve before the old one ends (default 1)",
     SECONDS(settle_s, "1"), .is_live = true},
    {"accept-timeout", 0, "MS",
     "when to give a connection that a worker has not accepted to another (default 5)",
     AT(accept_timeout_ms), .initial = "5", .read = option_number, .min = 1, .max = 10000,
     .expected = "milliseconds from 1 to 10000", .old_name = "recall", .is_live = true},
    {"backlog", 0, "N|app",
     "length of the kernel's queue: a number, or app = what the server asks for (default: "
     "net.core.somaxconn)",
     AT(backlog), .read = read_backlog, .min = 1, .max = INT_MAX,
     .expected = "a number from 1, or 'app'", .is_live = true},
    {"stuck-warn", 0, "SECONDS",
     "report a worker that neither waits nor accepts for this long (default 30, 0 = never)",
     SECONDS(stuck_warn_s, "30"), .is_live = true},
    {"stuck-kill", 0, "SECONDS", "kill and replace such a worker after this (default 0 = never)",
     SECONDS(stuck_kill_s, "0"), .is_live = true},
    {"user", 0, "USER", "run the workers as this user; ports below 1024 still work", AT(user),
     .read = option_text, .is_live = true},
    {"group", 0, "GROUP", "run the workers with this group", AT(group), .read = option_text,
     .is_live = true},
    {"sandbox", 0, NULL,
     "let the kernel refuse the broker itself all calls that it does not make (seccomp)",
     AT(sandbox), .read = option_flag},
    {"env", 0, "NAME=VALUE",
     "set this variable for the workers; {id} becomes the slot; may be repeated", AT(copy.env),
     .read = read_env, .expected = "NAME=VALUE, and no name that begins with SSHIM_",
     .repeats = true, .is_live = true},
    {"clean-env", 0, NULL, "give the workers nothing of the broker's environment but PATH",
     AT(copy.clean_env), .read = option_flag, .is_live = true},
    {"chdir", 0, "FOLDER", "start the workers in this folder; {id} becomes the slot",
     AT(copy.chdir), .read = read_folder, .expected = "a folder", .is_live = true},
    {"umask", 0, "RIGHTS", "umask of the workers, in octal", .read = read_umask,
     .expected = "rights in octal, as 027", .is_live = true},
    {"nice", 0, "N", "niceness of the workers, from -20 to 19", .read = read_nice,
     .expected = "a whole number from -20 to 19", .is_live = true},
    {"rlimit", 0, "NAME=SOFT[:HARD]",
     "a limit of the workers as in getrlimit(2): nofile=4096, core=0, as=2G, stack=unlimited; may "
     "be "
     "repeated",
     AT(copy.limits), .read = read_limit,
     .expected = "a name of getrlimit(2) and a size, or two, as nofile=1024:4096", .repeats = true,
     .is_live = true},
    {"cpus", 0, "LIST|spread",
     "run the workers on these cores (0-3,6); spread: each worker on one of the usable cores",
     AT(copy.cpus), .read = read_cpus, .expected = "a list of cores as 0-3,6, or 'spread'",
     .is_live = true},
    {"pidfile-dir", 0, "FOLDER",
     "write the broker's pid to FOLDER/NAME.pid and that of each slot to FOLDER/NAME-SLOT.pid",
     AT(pidfile_dir), .read = read_folder, .expected = "a folder"},
    {"on-broker-death", 0, "WHAT",
     "serve (default): workers go on if the broker is killed, and the next 'sshim run' of this "
     "name takes them over; exit: workers end",
     AT(on_broker_death), .read = option_choice, .names = broker_deaths, .is_live = true},
    {"ready-min", 0, "K", "the instance is ready when K workers are (default: all)", AT(ready_min),
     .read = option_number, .min = 1, .max = CONFIG_WORKERS_MAX},
    {"lame-duck", 0, "SECONDS",
     "on TERM first say for this long that no clients should be sent here, and take those that "
     "come (default 0)",
     SECONDS(lame_duck_s, "0")},
    {"metrics", 0, "ADDR",
     "serve /metrics (Prometheus), /healthz, /readyz and /status.json over HTTP at this address",
     AT(metrics), .read = read_address,
     .expected = "PORT (of 127.0.0.1), HOST:PORT, [IPV6]:PORT or /PATH"},
    {"ready-fd", 0, "N", "write a newline to this file descriptor when all workers are ready",
     AT(ready_fd), .read = read_fd, .max = INT_MAX,
     .expected = "the number of an open file descriptor"},
    {"log", 0, "FILE",
     "write messages to this file, as logfmt; 'sshim reopen' and USR1 open it anew after it was "
     "moved away; errors go to standard error as well",
     AT(log_file), .read = option_text},
    {"log-format", 0, "FORM",
     "auto (default): for people, with levels for the journal, logfmt in --log FILE; human, logfmt "
     "or json",
     AT(log_format), .read = option_choice, .names = log_formats},
    {"log-prefix", 0, NULL, "put the slot in front of each line that a worker writes",
     AT(log_prefix), .read = option_flag},
    {"on-event", 0, "COMMAND",
     "run this by sh -c when something happens (all ready, a worker ended, a restart is done); "
     "SSHIM_EVENT in its environment names it",
     AT(on_event), .read = option_text},
    {"config", 0, "FILE",
     "read options from this file, a line 'name = value' each, and 'command = ...'", AT(file),
     .read = option_text, .is_not_in_files = true},
    {"dry-run", 0, NULL, "print each option and where it comes from, and start nothing",
     AT(dry_run), .read = option_flag, .is_not_in_files = true},
    {"quiet", 'q', NULL, "errors only", .read = read_quiet, .is_live = true},
    {"verbose", 'v', NULL, "also report what each worker does", .read = read_verbose,
     .is_live = true},
};
#undef AT

#define AT(member) .offset = offsetof(struct config_target, member)
static const struct option_row target_rows[] = {
    {"name", 0, "NAME", "which instance (default: the one that runs)", AT(name),
     .read = option_text},
    {"control", 0, "PATH", "which instance, by its control socket", AT(control),
     .read = option_text},
    {"json", 0, NULL, "status, list, version: print JSON", AT(json), .read = option_flag},
    {"wait", 0, "STATE",
     "status: first wait until the instance is ready (all workers are), or stopped (no broker "
     "answers)",
     AT(wait), .read = option_choice, .names = waits, .expected = "ready or stopped"},
    {"parallel", 0, "K", "restart: replace K workers at a time (default 1)", AT(parallel),
     .read = option_number, .min = 1, .max = CONFIG_WORKERS_MAX},
    {"stop-timeout", 0, "SECONDS",
     "restart: how long old workers keep their connections (default: --stop-timeout of run)",
     AT(stop_timeout_s), .read = option_number, .max = DAY_S,
     .expected = "whole seconds, at most 86400"},
    {"timeout", 0, "SECONDS",
     "drain: how long to wait until no connection is open (default: --stop-timeout of run); status "
     "--wait: how long to wait (default: for ever)",
     AT(timeout_s), .read = option_number, .max = DAY_S,
     .expected = "whole seconds, at most 86400"},
    {"no-wait", 0, NULL,
     "restart: do not wait until the old workers have ended; scale, drain: do not wait at all",
     AT(no_wait), .read = option_flag},
    {"follow", 'f', NULL, "events: go on with what happens from now on", AT(follow),
     .read = option_flag},
    {"after", 0, "N", "events: those behind number N (seq) alone", AT(after), .read = option_number,
     .min = 1, .max = UINT_MAX - 1},
    {"now", 0, NULL, "stop: kill the workers at once", AT(now), .read = option_flag},
};
#undef AT

#define TABLE(name, table)                                                                         \
    {                                                                                              \
        .command = (name), .rows = (table), .count = sizeof(table) / sizeof(table)[0],             \
        .print_help = config_print_help                                                            \
    }
static const struct option_table run_table = TABLE("run", run_rows);

static_assert(sizeof run_rows / sizeof run_rows[0] <= OPTIONS_MAX, "options_parse has room");

const struct option_table *config_run_options(void)
{
    return &run_table;
}

void config_print_help(void)
{
    static const struct option_table target_table = TABLE("status", target_rows);
    const char *before = "usage:";

#define X(name, arguments, summary)                                                                \
    printf("%6s sshim %-41s %s\n", before, *arguments ? #name " " arguments : #name, summary);     \
    before = "";
    CONFIG_COMMANDS(X)
#undef X
    puts("\nIf several instances run, give --name or --control with each command.\n\n"
         "options of run:");
    options_print(&run_table);
    puts("\nEach option of run can also be set in the environment (SSHIM_STOP_TIMEOUT for "
         "--stop-timeout) and in a file\n(--config). 'sshim run web' reads "
         "~/.config/sshim/web.conf or /etc/sshim/web.conf.");
    puts("\n{id} in an argument, in --env and in --chdir becomes the slot of the copy, from "
         "0;\nSSHIM_WORKER_ID in its "
         "environment is the same.\n\noptions of the other commands:");
    options_print(&target_table);
}

void config_print_hint(FILE *out)
{
    fputs("sshim runs several copies of an unmodified server behind one address.\n"
          "\n"
          "  sshim run -w 4 -- ./server --port 8080    run four copies; Ctrl-C stops them\n"
          "  sshim status                              show listeners and copies\n"
          "  sshim restart                             replace the copies one by one\n"
          "  sshim scale +2                            run two copies more\n"
          "  sshim stop                                stop all copies\n"
          "  sshim check -- ./server                   say whether this server can be served\n"
          "\n"
          "sshim --help lists all commands and options; man sshim explains them.\n",
          out);
}

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

/* Whether there is one whose kind is not "none". */
static bool has_rule(const struct config_rules *rules)
{
    for (int i = 0; i < rules->count; i++)
        if (rules->at[i].kind != 0)
            return true;
    return false;
}

const char *config_front_option(const struct config *config)
{
    if (has_rule(&config->hold))
        return "--hold";
    if (has_rule(&config->accept_proxy))
        return "--accept-proxy";
    if (config->allow.count > 0)
        return "--allow";
    if (config->deny.count > 0)
        return "--deny";
    if (config->max_conns_per_worker > 0)
        return "--max-conns-per-worker";
    if (config->per_source.conns > 0)
        return "--max-conns-per-source";
    if (config->per_source.rate > 0)
        return "--max-rate-per-source";
    return config->unmap ? "--unmap" : NULL;
}

static enum proceed check_handoff(const struct config *config, int *exit_code)
{
    if (config->handoff != HANDOFF_DIRECT || !config_front_option(config))
        return GO_ON;
    log_error("with --handoff direct no connection passes the broker, so there is no %s; leave one "
              "of the two out",
              config_front_option(config));
    *exit_code = EXIT_USAGE;
    return DONE;
}

/* Who may say where a client comes from is never guessed. */
static enum proceed check_proxy(const struct config *config, int *exit_code)
{
    bool accepts = has_rule(&config->accept_proxy);

    if (accepts == (config->proxy_from.count > 0) || config->dry_run)
        return GO_ON;
    log_error(accepts ? "--accept-proxy needs --proxy-from: name the balancers whose PROXY headers "
                        "are to be believed"
                      : "--proxy-from needs --accept-proxy: say which PROXY header the balancers "
                        "send (v1, v2 or any)");
    *exit_code = EXIT_USAGE;
    return DONE;
}

enum proceed config_parse(struct config *config, int argc, char **argv, int *exit_code)
{
    *config = (struct config){.backlog = INT_MAX,
                              .ready_fd = -1,
                              .verbosity = LOG_LEVEL_NORMAL,
                              .copy = {.umask = CONFIG_NOT_GIVEN, .nice = CONFIG_NO_NICE}};
    if (options_parse(&run_table, config, argc, argv, exit_code) == DONE)
        return DONE;
    for (int i = 0; i < config->share.count; i++)
        config->share_all |= strcmp(config->share.at[i], "all") == 0;
    config->command = optind < argc ? argv + optind : NULL;
    if (check_handoff(config, exit_code) == DONE || check_proxy(config, exit_code) == DONE)
        return DONE;
    return check_command(config, exit_code);
}

/* How many arguments that are no options a command takes. */
static const struct {
    const char *command;
    unsigned at_least, at_most;
    const char *wanted;
} operands[] = {
    {"restart", 0, 1, ""},
    {"scale", 1, 1, "a number of workers: N, +N or -N"},
    {"drain", 1, 1, "the number of a slot; sshim status shows them"},
    {"resume", 1, 1, "the number of a slot; sshim status shows them"},
    {"kill", 1, 2, "the number of a slot; sshim status shows them"},
    {"deny", 1, 1, "an address, or a network as 10.0.0.0/8"},
    {"allow", 1, 1, "an address, or a network as 10.0.0.0/8"},
};

static bool take_operand(void *into, const char *text)
{
    struct config_target *target = into;

    if (target->operand_count == target->operands_max)
        return false;
    target->operands[target->operand_count++] = text;
    return true;
}

static bool is_negative_number(const char *text)
{
    return text[0] == '-' && text[1] && text[1 + strspn(text + 1, "0123456789")] == '\0';
}

/* -2 is what `sshim scale` is asked for; getopt would take it for an option. */
static int take_negative_numbers(struct config_target *target, int argc, char **argv)
{
    int kept = 1;

    for (int i = 1; i < argc; i++)
        if (!is_negative_number(argv[i]) || !take_operand(target, argv[i]))
            argv[kept++] = argv[i];
    argv[kept] = NULL;
    return kept;
}

enum option_end config_read_target(struct config_target *target, int argc, char **argv,
                                   struct option_fault *fault)
{
    struct option_table table = TABLE(argv[0], target_rows);
    unsigned at_least = 0;
    const char *wanted = "";

    *target = (struct config_target){
        .command = argv[0], .timeout_s = CONFIG_NOT_GIVEN, .stop_timeout_s = CONFIG_NOT_GIVEN};
    table.operand = take_operand;
    for (size_t i = 0; i < sizeof operands / sizeof operands[0]; i++)
        if (strcmp(operands[i].command, argv[0]) == 0) {
            at_least = operands[i].at_least;
            target->operands_max = operands[i].at_most;
            wanted = operands[i].wanted;
        }
    argc = take_negative_numbers(target, argc, argv);
    enum option_end end = options_read(&table, target, argc, argv, fault);
    if (end != OPTION_END_WELL || target->operand_count >= at_least)
        return end;
    snprintf(fault->text, sizeof fault->text, "sshim %s needs %s; see sshim --help", argv[0],
             wanted);
    return OPTION_END_FAULT;
}

enum proceed config_parse_target(struct config_target *target, int argc, char **argv,
                                 int *exit_code)
{
    struct option_fault fault;

    switch (config_read_target(target, argc, argv, &fault)) {
    case OPTION_END_WELL: return GO_ON;
    case OPTION_END_HELP:
        config_print_help();
        *exit_code = EXIT_STOPPED;
        return DONE;
    case OPTION_END_FAULT: break;
    }
    log_error("%s", fault.text);
    *exit_code = EXIT_USAGE;
    return DONE;
}

void config_format_line(const struct config_target *target, char *line, size_t size)
{
    const char *base = (const char *)target;
    size_t used = (size_t)snprintf(line, size, "%s", target->command);

    for (unsigned i = 0; i < target->operand_count && used < size; i++)
        used += (size_t)snprintf(line + used, size - used, " %s", target->operands[i]);
    for (size_t i = 0; i < sizeof target_rows / sizeof target_rows[0] && used < size; i++) {
        const struct option_row *row = &target_rows[i];
        const void *field = base + row->offset;
        if (row->read == option_flag && *(const bool *)field)
            used += (size_t)snprintf(line + used, size - used, " --%s", row->name);
        if (row->read == option_number &&
            *(const unsigned *)field != (row->min == 0 ? CONFIG_NOT_GIVEN : 0))
            used += (size_t)snprintf(line + used, size - used, " --%s=%u", row->name,
                                     *(const unsigned *)field);
    }
}

enum proceed config_parse_check(int argc, char **argv, char ***command, int *exit_code)
{
    const struct option_table table = {.command = "check", .print_help = config_print_help};

    if (options_parse(&table, NULL, argc, argv, exit_code) == DONE)
        return DONE;
    *command = argv + optind;
    if (optind < argc)
        return GO_ON;
    log_error("there is no command to check; write 'sshim check -- COMMAND'");
    *exit_code = EXIT_USAGE;
    return DONE;
}
