/* test_config.c - broker/cli/options/: every option, its default, its limits. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/base/options/parse.h"
#include "broker/cli/options/ports.h"
#include "broker/cli/options/run_options.h"
#include "broker/cli/options/target_options.h"
#include "unit.h"

static struct config config;

/* -1 to go on, else the exit code. */
static int parse_counted(int argc, char **argv)
{
    int exit_code = -1;

    return run_options_parse(&config, argc, argv, &exit_code) == GO_ON ? -1 : exit_code;
}

/* Parses up to eight arguments; messages go nowhere. */
static int parse(char *const *arguments)
{
    char *argv[12] = {(char *)"run"};
    int argc = 1;

    while (arguments[argc - 1]) {
        argv[argc] = arguments[argc - 1];
        argc++;
    }
    return parse_counted(argc, argv);
}

#define PARSE(...) parse((char *const[]){__VA_ARGS__, NULL})
#define ACCEPTS(...) CHECK(PARSE(__VA_ARGS__) == -1)
#define REFUSES(...) CHECK(PARSE(__VA_ARGS__) == EXIT_USAGE)

static void defaults(void)
{
    ACCEPTS("cmd");
    CHECK(config.workers >= 1 && !config.name && !config.control);
    CHECK(config.handoff == HANDOFF_AUTO && config.balance == BALANCE_LEASTCONN);
    CHECK(config.stop_timeout_s == 25 && config.start_timeout_s == 60 && config.backlog == INT_MAX);
    CHECK(config.ready_fd == -1 && config.verbosity == LOG_LEVEL_NORMAL);
    CHECK(config.share.count == 0 && config.unshared.count == 0 && !config.share_all);
}

static void workers(void)
{
    ACCEPTS("-w", "4", "cmd");
    CHECK(config.workers == 4);
    ACCEPTS("--workers=4096", "cmd");
    CHECK(config.workers == CONFIG_WORKERS_MAX);
    ACCEPTS("-w7", "cmd");
    CHECK(config.workers == 7);
    ACCEPTS("-w", "auto", "cmd");
    CHECK(config.workers >= 1);
    ACCEPTS("-w", "0");
    CHECK(config.workers == 0 && !config.command);
    ACCEPTS("-w", "2..16", "--scale-after", "10", "--scale-idle=1", "cmd");
    CHECK(config.workers == 2 && config.workers_max == 16 && config.scale_after_ms == 10);
    ACCEPTS("-w", "2..16", "-w", "3", "cmd");
    CHECK(config.workers == 3 && config.workers_max == 0);
    REFUSES("-w", "0..2", "cmd");
    REFUSES("-w", "3..2", "cmd");
    REFUSES("-w", "2..4097", "cmd");
    REFUSES("-w", "..3", "cmd");
    REFUSES("-w", "1..", "cmd");
    REFUSES("-w", "111111111..3", "cmd");
    REFUSES("-w", "-1", "cmd");
    REFUSES("-w", "4097", "cmd");
    REFUSES("-w", "100000", "cmd");
    REFUSES("-w", "", "cmd");
    REFUSES("-w", "4294967297", "cmd");
    REFUSES("-w", "0", "cmd");
    REFUSES("-w", "4");
    REFUSES("-w");
}

static void older_names(void)
{
    ACCEPTS("--grace", "3", "--recall=7", "--private", "2121", "cmd");
    CHECK(config.stop_timeout_s == 3 && config.accept_timeout_ms == 7);
    CHECK(config.unshared.count == 1 && strcmp(config.unshared.at[0], "2121") == 0);
    REFUSES("--recall", "0", "cmd");
    REFUSES("--grace", "cmd");
}

static void about_the_others(void)
{
    ACCEPTS("--config", "web.conf", "--dry-run", "cmd");
    CHECK(strcmp(config.file, "web.conf") == 0 && config.dry_run);
    ACCEPTS("cmd");
    CHECK(!config.file && !config.dry_run);
    REFUSES("--config");
    REFUSES("--dry-run=1", "cmd");
}

static void the_command_is_left_alone(void)
{
    ACCEPTS("-w", "2", "--", "cmd", "-w", "9", "--help");
    CHECK(config.workers == 2);
    CHECK(strcmp(config.command[0], "cmd") == 0 && strcmp(config.command[1], "-w") == 0);
    CHECK(strcmp(config.command[3], "--help") == 0 && !config.command[4]);
    ACCEPTS("-w", "2", "cmd", "-w", "9"); /* without -- as well */
    CHECK(config.workers == 2 && strcmp(config.command[2], "9") == 0);
}

static void choices(void)
{
    ACCEPTS("--handoff", "broker", "--balance", "source", "cmd");
    CHECK(config.handoff == HANDOFF_BROKER && config.balance == BALANCE_SOURCE);
    ACCEPTS("--handoff=direct", "--balance=first", "cmd");
    CHECK(config.handoff == HANDOFF_DIRECT && config.balance == BALANCE_FIRST);
    ACCEPTS("--balance=roundrobin", "cmd");
    CHECK(config.balance == BALANCE_ROUNDROBIN);
    REFUSES("--handoff", "Broker", "cmd");
    REFUSES("--handoff", "", "cmd");
    REFUSES("--balance", "least", "cmd");
}

static void holds(void)
{
    ACCEPTS("cmd");
    CHECK(config.hold.count == 0 && config.hold_timeout_s == 10 && config.hold_max == 4096 &&
          config.hold_close == HOLD_CLOSE_FIN);
    ACCEPTS("--hold", "http", "--hold=line@127.0.0.1:25", "--hold-timeout", "3", "--hold-max",
            "65536", "--hold-close", "rst", "cmd");
    CHECK(config.hold.count == 2 && config.hold.at[0].kind == HOLD_HTTP);
    CHECK(strcmp(config.hold.at[0].pattern, "all") == 0);
    CHECK(config.hold.at[1].kind == HOLD_LINE &&
          strcmp(config.hold.at[1].pattern, "127.0.0.1:25") == 0);
    CHECK(config.hold_timeout_s == 3 && config.hold_max == 65536 &&
          config.hold_close == HOLD_CLOSE_RST);
    ACCEPTS("--hold=none", "--handoff=direct", "cmd"); /* asks for nothing */
    REFUSES("--hold", "", "cmd");
    REFUSES("--hold", "htt", "cmd");
    REFUSES("--hold", "http2", "cmd");
    REFUSES("--hold", "http@", "cmd");
    REFUSES("--hold", "@80", "cmd");
    REFUSES("--hold", "http@80x", "cmd");
    REFUSES("--hold-timeout", "0", "cmd");
    REFUSES("--hold-max", "0", "cmd");
    REFUSES("--hold-max", "65537", "cmd");
    REFUSES("--hold-close", "ack", "cmd");
    REFUSES("--hold=data", "--handoff=direct", "cmd");
}

static void full(void)
{
    ACCEPTS("cmd");
    CHECK(config.when_full.kind == WHEN_FULL_QUEUE && config.full_after_s == 5);
    ACCEPTS("--when-full", "close", "--full-after", "1", "cmd");
    CHECK(config.when_full.kind == WHEN_FULL_CLOSE && config.full_after_s == 1);
    ACCEPTS("--when-full=./close", "--full-after=86400", "cmd");
    CHECK(config.when_full.kind == WHEN_FULL_ANSWER &&
          strcmp(config.when_full.file, "./close") == 0);
    ACCEPTS("--when-full=busy.http", "--when-full=queue", "--handoff=direct", "cmd");
    CHECK(config.when_full.kind == WHEN_FULL_QUEUE && !config.when_full.file);
    REFUSES("--when-full", "", "cmd");
    REFUSES("--when-full=close", "--handoff=direct", "cmd");
    REFUSES("--full-after", "0", "cmd");
    REFUSES("--full-after", "86401", "cmd");
}

static void readiness(void)
{
    ACCEPTS("cmd");
    CHECK(config.ready.mode == READINESS_LISTEN && config.ready_min == 0 &&
          config.lame_duck_s == 0);
    ACCEPTS("--ready", "accept", "--ready-min", "1", "--lame-duck", "86400", "cmd");
    CHECK(config.ready.mode == READINESS_ACCEPT && config.ready_min == 1 &&
          config.lame_duck_s == 86400);
    ACCEPTS("--ready=delay:59", "cmd");
    CHECK(config.ready.mode == READINESS_DELAY && config.ready.delay_s == 59);
    ACCEPTS("--ready=delay:60", "--ready=notify", "--handoff=direct", "cmd");
    CHECK(config.ready.mode == READINESS_NOTIFY);
    REFUSES("--ready", "", "cmd");
    REFUSES("--ready", "delay", "cmd");
    REFUSES("--ready", "delay:", "cmd");
    REFUSES("--ready", "delay:1s", "cmd");
    REFUSES("--ready", "delay:60", "cmd"); /* --start-timeout */
    REFUSES("--ready", "notify:1", "cmd");
    REFUSES("--ready=accept", "--handoff=direct", "cmd");
    REFUSES("--ready-min", "0", "cmd");
    REFUSES("--lame-duck", "86401", "cmd");
}

static void once(void)
{
    ACCEPTS("--workers", "2..16", "cmd");
    CHECK(!config.once);
    ACCEPTS("--once", "--workers", "16", "cmd");
    CHECK(config.once);
    REFUSES("--once", "--workers", "2..16", "cmd");
    REFUSES("--once", "--workers", "0");
}

static void logs(void)
{
    ACCEPTS("cmd");
    CHECK(!config.conn_log && !config.log_file && config.log_format == LOG_FORMAT_AUTO);
    ACCEPTS("--conn-log", "-", "--log=a.log", "--log-format=json", "--log-prefix", "cmd");
    CHECK(strcmp(config.conn_log, "-") == 0 && strcmp(config.log_file, "a.log") == 0);
    CHECK(config.log_format == LOG_FORMAT_JSON && config.log_prefix);
    CHECK(config.handoff == HANDOFF_AUTO);
    REFUSES("--conn-log", "", "cmd");
    REFUSES("--conn-log=-", "--handoff=direct", "cmd");
    REFUSES("--log-format", "xml", "cmd");
}

static void clients(void)
{
    ACCEPTS("--allow", "192.0.2.0/24,::1", "--deny", "192.0.2.7", "--unmap", "cmd");
    CHECK(config.allow.count == 2 && config.deny.count == 1 && config.unmap);
    ACCEPTS("--max-conns-per-source=3", "--max-rate-per-source=5/60", "--penalty=9", "cmd");
    CHECK(config.per_source.conns == 3 && config.per_source.rate == 5 &&
          config.per_source.rate_s == 60 && config.per_source.penalty_s == 9);
    CHECK(config.per_source.bits_ipv4 == 32 && config.per_source.bits_ipv6 == 64);
    ACCEPTS("--accept-proxy=v2@80", "--proxy-from=10.0.0.0/8", "--proxy-optional", "cmd");
    CHECK(config.accept_proxy.count == 1 && config.accept_proxy.at[0].kind == ACCEPT_PROXY_V2 &&
          config.proxy_from.count == 1 && config.proxy_optional);
    ACCEPTS("--max-conns-per-worker=1000000", "--source-prefix=24,56", "--skip-dead", "cmd");
    CHECK(config.max_conns_per_worker == 1000000 && config.per_source.bits_ipv6 == 56 &&
          config.skip_dead);
    REFUSES("--allow", "192.0.2.0/33", "cmd");
    REFUSES("--deny", "", "cmd");
    REFUSES("--max-rate-per-source", "5/", "cmd");
    REFUSES("--max-rate-per-source", "0", "cmd");
    REFUSES("--source-prefix", "33,64", "cmd");
    REFUSES("--source-prefix", "24", "cmd");
    REFUSES("--accept-proxy", "v3", "cmd");
    REFUSES("--accept-proxy", "v1", "cmd"); /* --proxy-from */
    REFUSES("--proxy-from", "10.0.0.0/8", "cmd");
    REFUSES("--max-conns-per-worker", "1000001", "cmd");
    REFUSES("--allow=::1", "--handoff=direct", "cmd");
}

static void outside(void)
{
    ACCEPTS("--metrics", "9100", "--control-ro", "/run/ro,640,web", "--pidfile-dir=/run/x", "cmd");
    CHECK(strcmp(config.metrics, "9100") == 0 && strcmp(config.pidfile_dir, "/run/x") == 0);
    CHECK(strcmp(config.control_ro.path, "/run/ro") == 0 && config.control_ro.mode == 0640 &&
          strcmp(config.control_ro.group, "web") == 0);
    ACCEPTS("--on-event", "echo", "--sandbox", "--on-broker-death", "exit", "cmd");
    CHECK(strcmp(config.on_event, "echo") == 0 && config.sandbox &&
          config.on_broker_death == BROKER_DEATH_EXIT);
    REFUSES("--metrics", "nonsense", "cmd");
    REFUSES("--control-ro", "/run/ro,999", "cmd");
    REFUSES("--control-ro", "/run/ro,640,web,more", "cmd");
    REFUSES("--pidfile-dir", "", "cmd");
    REFUSES("--on-broker-death", "end", "cmd");
}

static void numbers(void)
{
    ACCEPTS("--stop-timeout", "0", "--start-timeout", "86400", "--accept-timeout", "10000", "cmd");
    CHECK(config.stop_timeout_s == 0 && config.start_timeout_s == 86400 &&
          config.accept_timeout_ms == 10000);
    ACCEPTS("--backlog", "app", "cmd");
    CHECK(config.backlog == 0);
    ACCEPTS("--backlog", "5", "cmd");
    CHECK(config.backlog == 5);
    REFUSES("--stop-timeout", "86401", "cmd");
    REFUSES("--stop-timeout", "1s", "cmd");
    REFUSES("--stop-timeout", "+1", "cmd");
    REFUSES("--start-timeout", "-5", "cmd");
    REFUSES("--accept-timeout", "0", "cmd");
    REFUSES("--accept-timeout", "10001", "cmd");
    REFUSES("--backlog", "0", "cmd");
    REFUSES("--backlog", "2147483648", "cmd");
}

static void addresses(void)
{
    ACCEPTS("--share", "80", "--share", "all", "--unshared", "[::1]:81", "cmd");
    CHECK(config.share.count == 2 && config.unshared.count == 1 && config.share_all);
    CHECK(!config.unshared_has_each);
    ACCEPTS("--unshared", "127.0.0.1:81+{id}", "--unshared=81+{id}", "cmd");
    CHECK(config.unshared.count == 2 && config.unshared_has_each);
    REFUSES("--unshared", "0+{id}", "cmd");
    REFUSES("--unshared", "+{id}", "cmd");
    REFUSES("--share", "81+{id}", "cmd");
    REFUSES("--share", "nonsense", "cmd");
    REFUSES("--unshared", "", "cmd");
}

static void ports(void)
{
    static const char *const good[] = {"8080=80",   "127.0.0.1:8080=80", "8080=[::1]:80",
                                       "*:8080=80", "[::]:8080=[::]:80", "65535=1"};
    static const char *const bad[] = {"",
                                      "80",
                                      "=80",
                                      "80=",
                                      "0=80",
                                      "80=0",
                                      "80=x",
                                      "/tmp/a=80",
                                      "80=1=2",
                                      "80=*:81",
                                      "1.1.1.1:80=[::1]:80",
                                      "80=70000",
                                      "::1=80",
                                      "all=80",
                                      "@a=80",
                                      "80=@a",
                                      "80=/tmp/a"};
    char text[PORTS_TEXT_MAX];

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        ACCEPTS("--port", (char *)good[i], "cmd");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        REFUSES("--port", (char *)bad[i], "cmd");
    ACCEPTS("--port", "8080=80", "--port", "127.0.0.1:8443=443", "cmd");
    ports_format_asked(&config.port, text);
    CHECK(strcmp(text, "80=8080 7f000001:443=8443") == 0);
    ACCEPTS("--port", "10.0.0.1:80=10.0.0.2:81", "--port", "0.0.0.0:82=10.0.0.2:83", "cmd");
    ports_format_asked(&config.port, text);
    CHECK(strcmp(text, "0a000002:81=0a000001:80 0a000002:83=82") == 0);
    ACCEPTS("--port", "[::1]:80=[::2]:81", "cmd");
    ports_format_asked(&config.port, text);
    CHECK(strcmp(text, "00000000000000000000000000000002:81=00000000000000000000000000000001:80") ==
          0);
}

static void ports_that_clash(void)
{
    ACCEPTS("--port", "80=81", "--port", "80=81", "cmd");
    ACCEPTS("--port", "10.0.0.1:80=81", "--port", "10.0.0.2:80=81", "cmd");
    ACCEPTS("--port", "10.0.0.1:80=81", "--port", "80=82", "cmd");
    ACCEPTS("--port", "80=81", "--port", "81=80", "cmd");
    REFUSES("--port", "80=82", "--port", "81=82", "cmd");
    REFUSES("--port", "80=10.0.0.1:82", "--port", "10.0.0.1:81=82", "cmd");
    REFUSES("--port", "80=81", "--port", "10.0.0.1:80=82", "cmd");
    REFUSES("--port", "80=81", "--port", "*:80=82", "cmd");
    REFUSES("--leader", "0", "cmd");
    REFUSES("--hold", "http@0", "cmd");
}

static void too_many_addresses(void)
{
    char *argv[2 * CONFIG_PATTERNS_MAX + 8] = {(char *)"run"};
    int argc = 1;

    for (int i = 0; i <= CONFIG_PATTERNS_MAX; i++) {
        argv[argc++] = (char *)"--share";
        argv[argc++] = (char *)"80";
    }
    argv[argc] = (char *)"cmd";
    CHECK(parse_counted(argc + 1, argv) == EXIT_USAGE);
    argv[argc - 2] = (char *)"cmd";
    CHECK(parse_counted(argc - 1, argv) == -1);
}

static void ready_fd(void)
{
    ACCEPTS("--ready-fd", "0", "cmd");
    CHECK(config.ready_fd == 0);
    REFUSES("--ready-fd", "-1", "cmd");
    REFUSES("--ready-fd", "x", "cmd");
}

static void copies(void)
{
    ACCEPTS("cmd");
    CHECK(config.copy.umask == CONFIG_NOT_GIVEN && config.copy.nice == CONFIG_NO_NICE);
    ACCEPTS("--env", "A=1", "--env=B=", "--umask", "027", "--nice", "-20", "cmd");
    CHECK(config.copy.env.count == 2 && strcmp(config.copy.env.at[1], "B=") == 0);
    CHECK(config.copy.umask == 027 && config.copy.nice == -20);
    ACCEPTS("--rlimit", "nofile=1K:unlimited", "--rlimit=core=0", "--cpus", "0-3,6", "cmd");
    CHECK(config.copy.limits.count == 2);
    ACCEPTS("--cpus", "spread", "--chdir", "/srv/{id}", "--clean-env", "cmd");
    CHECK(config.copy.clean_env);
    ACCEPTS("--max-conns", "7", "--max-age", "2h", "--max-rss", "3M", "cmd");
    CHECK(config.recycle.conns == 7 && config.recycle.age_s == 7200 &&
          config.recycle.rss_bytes == 3 << 20);
    REFUSES("--max-age", "2w", "cmd");
    REFUSES("--max-age", "", "cmd");
    REFUSES("--max-age", "4294967295d", "cmd");
    REFUSES("--max-age", "1h2", "cmd");
    REFUSES("--env", "A", "cmd");
    REFUSES("--env", "=1", "cmd");
    REFUSES("--env", "SSHIM_TOKEN=1", "cmd");
    REFUSES("--umask", "9", "cmd");
    REFUSES("--umask", "1777", "cmd");
    REFUSES("--nice", "20", "cmd");
    REFUSES("--nice", "-21", "cmd");
    REFUSES("--nice", "--5", "cmd");
    REFUSES("--rlimit", "nofile", "cmd");
    REFUSES("--rlimit", "files=1", "cmd");
    REFUSES("--rlimit", "nofile=2:1", "cmd");
    REFUSES("--rlimit", "nofile=-1", "cmd");
    REFUSES("--cpus", "1-", "cmd");
    REFUSES("--cpus", "3-1", "cmd");
    REFUSES("--cpus", "1024", "cmd");
    REFUSES("--cpus", "0,", "cmd");
    REFUSES("--chdir", "", "cmd");
}

static void sizes(void)
{
    uint64_t bytes = 0;

    CHECK(option_parse_size("0", &bytes) && bytes == 0);
    CHECK(option_parse_size("3k", &bytes) && bytes == 3072);
    CHECK(option_parse_size("2G", &bytes) && bytes == UINT64_C(2) << 30);
    CHECK(option_parse_size("1T", &bytes) && bytes == UINT64_C(1) << 40);
    CHECK(!option_parse_size("", &bytes) && !option_parse_size("K", &bytes));
    CHECK(!option_parse_size("1KB", &bytes) && !option_parse_size("-1", &bytes));
    CHECK(!option_parse_size("18446744073709551615K", &bytes));
}

static void cores(void)
{
    cpu_set_t cpus;

    CHECK(option_parse_cpus("0-2,5", &cpus) && CPU_COUNT(&cpus) == 4);
    CHECK(CPU_ISSET(2, &cpus) && !CPU_ISSET(3, &cpus) && CPU_ISSET(5, &cpus));
    CHECK(!option_parse_cpus("", &cpus) && !option_parse_cpus("-1", &cpus));
}

static void unknown_options(void)
{
    REFUSES("--frobnicate", "cmd");
    REFUSES("-Z", "cmd");
    REFUSES("--quiet=5", "cmd");
    REFUSES("--work", "cmd"); /* an abbreviation without its value */
}

static void verbosity(void)
{
    ACCEPTS("-q", "cmd");
    CHECK(config.verbosity == LOG_LEVEL_QUIET);
    ACCEPTS("-v", "cmd");
    CHECK(config.verbosity == LOG_LEVEL_VERBOSE);
}

static void targets(void)
{
    struct config_target target;
    int exit_code = -1;
    char *good[] = {(char *)"status", (char *)"--json", (char *)"--name", (char *)"web", NULL};
    char *bad[] = {(char *)"status", (char *)"web", NULL};

    CHECK(target_options_parse(&target, 4, good, &exit_code) == GO_ON);
    CHECK(target.json && strcmp(target.name, "web") == 0 && !target.control);
    CHECK(target_options_parse(&target, 2, bad, &exit_code) == DONE);
    CHECK(exit_code == EXIT_USAGE);
}

/* Operands and options in any order; a negative number is no option. */
static void lines(void)
{
    struct config_target target;
    struct option_fault fault;
    char text[64];
    char *down[] = {(char *)"scale", (char *)"--no-wait", (char *)"-2", (char *)"--name=web", NULL};
    char *twice[] = {(char *)"scale", (char *)"3", (char *)"-4", NULL};
    char *none[] = {(char *)"scale", NULL};

    CHECK(target_options_read(&target, 4, down, &fault) == OPTION_END_WELL);
    CHECK(target.no_wait && strcmp(target.name, "web") == 0 && target.operand_count == 1);
    target_options_format(&target, text, sizeof text);
    CHECK(strcmp(text, "scale -2 --no-wait") == 0);
    CHECK(target_options_read(&target, 3, twice, &fault) == OPTION_END_FAULT);
    CHECK(strstr(fault.text, "'3'"));
    CHECK(target_options_read(&target, 1, none, &fault) == OPTION_END_FAULT);
    CHECK(strstr(fault.text, "needs a number"));
}

int main(void)
{
    if (!freopen("/dev/null", "w", stderr))
        return 1;
    unit_run("arguments: the defaults are those of the manual", defaults);
    unit_run("arguments: numbers of workers", workers);
    unit_run("arguments: older names of options", older_names);
    unit_run("arguments: --config and --dry-run", about_the_others);
    unit_run("arguments: what belongs to the command is left alone", the_command_is_left_alone);
    unit_run("arguments: --handoff and --balance", choices);
    unit_run("arguments: --hold", holds);
    unit_run("arguments: --when-full", full);
    unit_run("arguments: --ready, --ready-min, --lame-duck", readiness);
    unit_run("arguments: --once", once);
    unit_run("arguments: logs", logs);
    unit_run("arguments: whose connections are taken", clients);
    unit_run("arguments: what others see and do", outside);
    unit_run("arguments: seconds, milliseconds, backlog", numbers);
    unit_run("arguments: --port", ports);
    unit_run("arguments: rules of --port that clash", ports_that_clash);
    unit_run("arguments: --share and --unshared", addresses);
    unit_run("arguments: more addresses than there is room for", too_many_addresses);
    unit_run("arguments: --ready-fd is a number", ready_fd);
    unit_run("arguments: what each copy is started with", copies);
    unit_run("arguments: sizes", sizes);
    unit_run("arguments: lists of cores", cores);
    unit_run("arguments: unknown options", unknown_options);
    unit_run("arguments: -q and -v", verbosity);
    unit_run("arguments: those of status and stop", targets);
    unit_run("arguments: those of scale, and as a line", lines);
    return unit_end();
}
