/* rows.c - see rows.h. */
#include "broker/cli/options/rows.h"

#include <assert.h>
#include <limits.h>

#include "broker/base/config.h"
#include "broker/base/options/parse.h"
#include "broker/cli/options/values.h"

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

static const char *const readinesses[] = {
#define X(name, text) text,
    CONFIG_READINESS(X) NULL
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

#define AT(member) .offset = offsetof(struct config, member)
#define SECONDS(member, seconds)                                                                   \
    AT(member), .initial = seconds, .read = option_number, .max = DAY_S,                           \
                .expected = "whole seconds, at most 86400"
#define NETWORKS "addresses or networks as 10.0.0.0/8, separated by commas (at most 256)"
#define NAME "at most 63 letters, digits, '.', '_' or '-', and no '.' in front"
#define PATTERN_REST ", HOST:PORT, [IPV6]:PORT, /PATH, @NAME or all (at most 32 times)"
#define PATTERN "PORT" PATTERN_REST

static const struct option_row run_rows[] = {
    {"workers", 'w', "N|auto",
     "copies to run; LOW..HIGH = as many as the load needs; auto (default) = usable cores, or "
     "fewer if the cgroup's cpu.max says so; 0 "
     "without a command = wait for servers that join by SSHIM_BROKER",
     AT(workers), .initial = "auto", .read = value_workers, .max = CONFIG_WORKERS_MAX,
     .expected = "0 to 4096, 'auto', or LOW..HIGH with LOW from 1 to HIGH", .is_live = true},
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
     AT(recycle.age_s), .initial = "0", .read = value_age,
     .expected = "seconds, or a number with s, m, h or d", .is_live = true},
    {"max-rss", 0, "SIZE",
     "replace a worker whose processes have this much memory resident: 512M (default 0 = never)",
     AT(recycle.rss_bytes), .initial = "0", .read = value_size,
     .expected = "bytes, or a number with K, M, G or T", .is_live = true},
    {"name", 0, "NAME",
     "name of the instance (default: the base name of the command, or of the script that it runs)",
     AT(name), .read = value_name, .expected = NAME},
    {"control", 0, "PATH",
     "control socket (default: NAME.sock in $XDG_RUNTIME_DIR/sshim, /run/sshim for root, else "
     "/tmp/sshim-UID)",
     AT(control), .read = option_text},
    {"intercept", 0, "WAY",
     "how to learn what a server binds; preload: by the library; seccomp: by the kernel, copies "
     "share the socket; auto (default): preload if the library can be loaded, else seccomp",
     AT(intercept), .read = option_choice, .names = intercepts},
    {"control-ro", 0, "PATH[,MODE[,GROUP]]",
     "a second, read-only control socket: status, list and events (default MODE 660)",
     AT(control_ro), .read = value_control_ro,
     .expected = "PATH, PATH,MODE in octal or PATH,MODE,GROUP, with a PATH of at most 102 bytes"},
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
     AT(share), .read = value_pattern, .expected = PATTERN, .repeats = true, .is_live = true},
    {"unshared", 0, "ADDR",
     "leave this address to each copy; PORT+{id}: copy N gets port PORT+N in its place; may be "
     "repeated",
     AT(unshared), .read = value_unshared, .expected = PATTERN ", or PORT+{id}",
     .old_name = "private", .repeats = true, .is_live = true},
    {"leader", 0, "ADDR",
     "connections to this address go to one worker alone, the lowest slot that lives; may be "
     "repeated",
     AT(leader), .read = value_bound, .expected = "a PORT above 0" PATTERN_REST, .repeats = true,
     .is_live = true},
    {"port", 0, "APP=REAL",
     "a server that asks for port APP gets port REAL and is told APP: 8080=80; both may be "
     "HOST:PORT; may be repeated",
     AT(port), .read = value_port,
     .expected =
         "APP=REAL, each a PORT, HOST:PORT or [IPV6]:PORT, two hosts of one family (at most "
         "32 times)",
     .repeats = true, .is_live = true},
    {"hold", 0, "KIND[@ADDR]",
     "offer a connection only when its first byte (data), line, HTTP request head (http) or TLS "
     "ClientHello (tls) can be read; none (default) = at once; with @ADDR for that address; may be "
     "repeated",
     AT(hold), .read = value_rule, .names = holds, .repeats = true,
     .expected = "none, data, line, http or tls, with @ and an address as for --share"},
    {"hold-timeout", 0, "SECONDS",
     "hold: close a connection that is not complete after this (default 10)", AT(hold_timeout_s),
     .initial = "10", .read = option_number, .min = 1, .max = DAY_S,
     .expected = "whole seconds from 1 to 86400", .is_live = true},
    {"hold-max", 0, "N", "hold: connections of one address at a time (default 4096)", AT(hold_max),
     .initial = "4096", .read = option_number, .min = 1, .max = 65536, .is_live = true},
    {"hold-close", 0, "HOW", "hold: close by fin (default) or by rst", AT(hold_close),
     .read = option_choice, .names = hold_closes, .is_live = true},
    {"when-full", 0, "queue|close|FILE",
     "what becomes of a connection that no worker can take for --full-after seconds; queue "
     "(default): it waits; close; FILE: it gets what is in this file, {retry_after} in seconds",
     AT(when_full), .read = value_when_full, .expected = "queue, close or a file", .is_live = true},
    {"full-after", 0, "SECONDS", "when-full: after this time (default 5)", AT(full_after_s),
     .initial = "5", .read = option_number, .min = 1, .max = DAY_S,
     .expected = "whole seconds from 1 to 86400", .is_live = true},
    {"skip-dead", 0, NULL,
     "close connections whose client left while they waited in the kernel's queue (with "
     "--handoff broker always, after 20 ms)",
     AT(skip_dead), .read = option_flag, .is_live = true},
    {"accept-proxy", 0, "VERSION[@ADDR]",
     "take the client's address from the PROXY header (v1, v2 or any) with which each connection "
     "of "
     "--proxy-from begins; none (default) = there is no header; with @ADDR for that address; may "
     "be repeated",
     AT(accept_proxy), .read = value_rule, .names = accept_proxies, .repeats = true,
     .expected = "none, v1, v2 or any, with @ and an address as for --share"},
    {"proxy-from", 0, "NETWORK,...",
     "the balancers whose headers are believed; connections of others are closed", AT(proxy_from),
     .read = value_networks, .expected = NETWORKS, .repeats = true},
    {"proxy-optional", 0, NULL, "take connections of others as well, which have no header",
     AT(proxy_optional), .read = option_flag},
    {"allow", 0, "NETWORK,...", "take connections of these clients only; may be repeated",
     AT(allow), .read = value_networks, .expected = NETWORKS, .repeats = true, .is_live = true},
    {"deny", 0, "NETWORK,...",
     "close connections of these clients at once; the longest network of these two options that "
     "has a client counts; may be repeated",
     AT(deny), .read = value_networks, .expected = NETWORKS, .repeats = true, .is_live = true},
    {"max-conns-per-worker", 0, "N",
     "offer a worker no connection while it has so many open (default 0 = any number)",
     AT(max_conns_per_worker), .read = option_number, .max = 1000000, .is_live = true},
    {"max-conns-per-source", 0, "N",
     "close connections of a client that has so many open (default 0 = never)",
     AT(per_source.conns), .read = option_number, .max = 65536, .is_live = true},
    {"max-rate-per-source", 0, "N[/SECONDS]",
     "close connections of a client that opens more than N in so many seconds (default 1)",
     AT(per_source), .read = value_rate, .expected = "a number, or a number and seconds as 100/60",
     .is_live = true},
    {"source-prefix", 0, "IPV4,IPV6", "bits of the network that is one source (default 32,64)",
     AT(per_source), .initial = "32,64", .read = value_prefix,
     .expected = "two numbers of bits as 24,64", .is_live = true},
    {"penalty", 0, "SECONDS",
     "close all connections of a source that exceeded a limit for so long (default 0)",
     SECONDS(per_source.penalty_s, "0"), .is_live = true},
    {"unmap", 0, NULL, "tell IPv4 clients of IPv6 listeners as IPv4 addresses", AT(unmap),
     .read = option_flag, .is_live = true},
    {"stop-timeout", 0, "SECONDS", "how long workers may take to end before KILL (default 25)",
     SECONDS(stop_timeout_s, "25"), .old_name = "grace", .is_live = true},
    {"start-timeout", 0, "SECONDS", "how long a worker may take to listen (default 60)",
     SECONDS(start_timeout_s, "60"), .is_live = true},
    {"settle", 0, "SECONDS",
     "restart: how long a new worker must serve before the old one ends (default 1)",
     SECONDS(settle_s, "1"), .is_live = true},
    {"once", 0, NULL,
     "do not replace a worker that ends by itself; when the last one has ended, end with the "
     "status "
     "of the first that failed",
     AT(once), .read = option_flag},
    {"accept-timeout", 0, "MS",
     "when to give a connection that a worker has not accepted to another (default 5)",
     AT(accept_timeout_ms), .initial = "5", .read = option_number, .min = 1, .max = 10000,
     .expected = "milliseconds from 1 to 10000", .old_name = "recall", .is_live = true},
    {"backlog", 0, "N|app",
     "length of the kernel's queue: a number, or app = what the server asks for (default: "
     "net.core.somaxconn)",
     AT(backlog), .read = value_backlog, .min = 1, .max = INT_MAX,
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
     .read = value_env, .expected = "NAME=VALUE, and no name that begins with SSHIM_",
     .repeats = true, .is_live = true},
    {"clean-env", 0, NULL, "give the workers nothing of the broker's environment but PATH",
     AT(copy.clean_env), .read = option_flag, .is_live = true},
    {"chdir", 0, "FOLDER", "start the workers in this folder; {id} becomes the slot",
     AT(copy.chdir), .read = value_filled, .expected = "a folder", .is_live = true},
    {"umask", 0, "RIGHTS", "umask of the workers, in octal", .read = value_umask,
     .expected = "rights in octal, as 027", .is_live = true},
    {"nice", 0, "N", "niceness of the workers, from -20 to 19", .read = value_nice,
     .expected = "a whole number from -20 to 19", .is_live = true},
    {"rlimit", 0, "NAME=SOFT[:HARD]",
     "a limit of the workers as in getrlimit(2): nofile=4096, core=0, as=2G, stack=unlimited; may "
     "be "
     "repeated",
     AT(copy.limits), .read = value_limit,
     .expected = "a name of getrlimit(2) and a size, or two, as nofile=1024:4096", .repeats = true,
     .is_live = true},
    {"cpus", 0, "LIST|spread",
     "run the workers on these cores (0-3,6); spread: each worker on one of the usable cores",
     AT(copy.cpus), .read = value_cpus, .expected = "a list of cores as 0-3,6, or 'spread'",
     .is_live = true},
    {"pidfile-dir", 0, "FOLDER",
     "write the broker's pid to FOLDER/NAME.pid and that of each slot to FOLDER/NAME-SLOT.pid",
     AT(pidfile_dir), .read = value_filled, .expected = "a folder", .is_live = true},
    {"on-broker-death", 0, "WHAT",
     "serve (default): workers go on if the broker is killed, and the next 'sshim run' of this "
     "name takes them over; exit: workers end",
     AT(on_broker_death), .read = option_choice, .names = broker_deaths, .is_live = true},
    {"ready", 0, "WHEN",
     "when a worker counts as ready: listen (default): it listens; accept: it has come to wait for "
     "connections; delay:SECONDS after it listens; notify: it has sent READY=1 to NOTIFY_SOCKET "
     "(sd_notify)",
     AT(ready), .read = value_ready, .names = readinesses,
     .expected = "listen, accept, notify or delay:SECONDS", .is_live = true},
    {"ready-min", 0, "K", "the instance is ready when K workers are (default: all)", AT(ready_min),
     .read = option_number, .min = 1, .max = CONFIG_WORKERS_MAX, .is_live = true},
    {"lame-duck", 0, "SECONDS",
     "on TERM first say for this long that no clients should be sent here, and take those that "
     "come (default 0)",
     SECONDS(lame_duck_s, "0"), .is_live = true},
    {"metrics", 0, "ADDR",
     "serve /metrics (Prometheus), /healthz, /readyz and /status.json over HTTP at this address",
     AT(metrics), .read = value_address,
     .expected = "PORT (of 127.0.0.1), HOST:PORT, [IPV6]:PORT or /PATH of at most 107 bytes",
     .is_live = true},
    {"ready-fd", 0, "N", "write a newline to this file descriptor when all workers are ready",
     AT(ready_fd), .read = value_fd, .max = INT_MAX,
     .expected = "the number of an open file descriptor"},
    {"log", 0, "FILE",
     "write messages to this file, as logfmt; 'sshim reopen' and USR1 open it anew after it was "
     "moved away; errors go to standard error as well",
     AT(log_file), .read = option_text, .is_live = true},
    {"log-format", 0, "FORM",
     "auto (default): for people, with levels for the journal, logfmt in --log FILE; human, logfmt "
     "or json",
     AT(log_format), .read = option_choice, .names = log_formats, .is_live = true},
    {"conn-log", 0, "FILE|-",
     "write a line for each connection when it is over: client, listener, worker, how long it "
     "waited and was open; - = to standard output",
     AT(conn_log), .read = value_filled, .expected = "a file, or -", .is_live = true},
    {"log-prefix", 0, NULL, "put the slot in front of each line that a worker writes",
     AT(log_prefix), .read = option_flag, .is_live = true},
    {"on-event", 0, "COMMAND",
     "run this by sh -c when something happens (all ready, a worker ended, a restart is done); "
     "SSHIM_EVENT in its environment names it",
     AT(on_event), .read = option_text, .is_live = true},
    {"config", 0, "FILE",
     "read options from this file, a line 'name = value' each, and 'command = ...'", AT(file),
     .read = option_text, .is_not_in_files = true},
    {"dry-run", 0, NULL, "print each option and where it comes from, and start nothing",
     AT(dry_run), .read = option_flag, .is_not_in_files = true},
    {"quiet", 'q', NULL, "errors only", .read = value_quiet, .is_live = true},
    {"verbose", 'v', NULL, "also report what each worker does", .read = value_verbose,
     .is_live = true},
};
#undef AT

#define AT(member) .offset = offsetof(struct config_target, member)
#define ASK                                                                                        \
    "status top metrics list restart scale drain resume kill deny allow reopen events upgrade "    \
    "stop"
static const struct option_row target_rows[] = {
    {"name", 0, "NAME", "which instance (default: the one that runs)", AT(name), .read = value_name,
     .expected = NAME, .commands = ASK},
    {"control", 0, "PATH", "which instance, by its control socket", AT(control),
     .read = option_text, .commands = ASK},
    {"json", 0, NULL, "status, list, version: print JSON", AT(json), .read = option_flag,
     .commands = "status list version"},
    {"wait", 0, "STATE",
     "status: first wait until the instance is ready (all workers are), or stopped (no broker "
     "answers)",
     AT(wait), .read = option_choice, .names = waits, .expected = "ready or stopped",
     .commands = "status"},
    {"parallel", 0, "K", "restart: replace K workers at a time (default 1)", AT(parallel),
     .read = option_number, .min = 1, .max = CONFIG_WORKERS_MAX, .commands = "restart"},
    {"stop-timeout", 0, "SECONDS",
     "restart: how long old workers keep their connections (default: --stop-timeout of run)",
     AT(stop_timeout_s), .read = option_number, .max = DAY_S,
     .expected = "whole seconds, at most 86400", .commands = "restart", .old_name = "grace"},
    {"timeout", 0, "SECONDS",
     "drain: how long to wait until no connection is open (default: --stop-timeout of run); status "
     "--wait: how long to wait (default: for ever)",
     AT(timeout_s), .read = option_number, .max = DAY_S, .expected = "whole seconds, at most 86400",
     .commands = "drain status"},
    {"no-wait", 0, NULL,
     "restart: do not wait until the old workers have ended; scale, drain: do not wait at all",
     AT(no_wait), .read = option_flag, .commands = "restart scale drain"},
    {"follow", 'f', NULL, "events: go on with what happens from now on", AT(follow),
     .read = option_flag, .commands = "events"},
    {"after", 0, "N", "events: those behind number N (seq) alone; 0: all that are kept", AT(after),
     .read = option_number, .max = UINT_MAX - 1, .commands = "events"},
    {"run", 0, NULL,
     "check: start two copies for a moment, and say what the second one trips over; options of run "
     "may follow",
     AT(run), .read = option_flag, .commands = "check"},
    {"now", 0, NULL, "stop: kill the workers at once", AT(now), .read = option_flag,
     .commands = "stop"},
};
#undef AT
#undef ASK

const struct option_table rows_of_run = {
    .command = "run", .rows = run_rows, .count = sizeof run_rows / sizeof run_rows[0]};
const struct option_table rows_of_targets = {.rows = target_rows,
                                             .count = sizeof target_rows / sizeof target_rows[0]};

static_assert(sizeof run_rows / sizeof run_rows[0] <= OPTIONS_MAX, "options_parse has room");
