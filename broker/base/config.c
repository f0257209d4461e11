/* config.c - getopt_long and its numbers. */
#include "broker/base/config.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/base/address.h"

enum option_code {
    OPT_NAME = 256,
    OPT_CONTROL,
    OPT_HANDOFF,
    OPT_BALANCE,
    OPT_SHARE,
    OPT_PRIVATE,
    OPT_GRACE,
    OPT_START_TIMEOUT,
    OPT_RECALL,
    OPT_BACKLOG,
    OPT_READY_FD,
    OPT_JSON,
    OPT_PARALLEL,
    OPT_STUCK_WARN,
    OPT_STUCK_KILL,
    OPT_USER,
    OPT_GROUP,
    OPT_ON_BROKER_DEATH,
};

static const struct option run_options[] = {
    {"workers", required_argument, NULL, 'w'},
    {"name", required_argument, NULL, OPT_NAME},
    {"control", required_argument, NULL, OPT_CONTROL},
    {"handoff", required_argument, NULL, OPT_HANDOFF},
    {"balance", required_argument, NULL, OPT_BALANCE},
    {"share", required_argument, NULL, OPT_SHARE},
    {"private", required_argument, NULL, OPT_PRIVATE},
    {"grace", required_argument, NULL, OPT_GRACE},
    {"start-timeout", required_argument, NULL, OPT_START_TIMEOUT},
    {"recall", required_argument, NULL, OPT_RECALL},
    {"backlog", required_argument, NULL, OPT_BACKLOG},
    {"stuck-warn", required_argument, NULL, OPT_STUCK_WARN},
    {"stuck-kill", required_argument, NULL, OPT_STUCK_KILL},
    {"user", required_argument, NULL, OPT_USER},
    {"group", required_argument, NULL, OPT_GROUP},
    {"on-broker-death", required_argument, NULL, OPT_ON_BROKER_DEATH},
    {"ready-fd", required_argument, NULL, OPT_READY_FD},
    {"quiet", no_argument, NULL, 'q'},
    {"verbose", no_argument, NULL, 'v'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static const struct option target_options[] = {
    {"name", required_argument, NULL, OPT_NAME},
    {"control", required_argument, NULL, OPT_CONTROL},
    {"json", no_argument, NULL, OPT_JSON},
    {"parallel", required_argument, NULL, OPT_PARALLEL},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static const struct option check_options[] = {
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static const char help[] =
    "usage: sshim run [options] -- COMMAND [ARGUMENTS]   run copies of a server behind its "
    "address\n"
    "       sshim status [--json] [--name NAME]          show listeners and workers\n"
    "       sshim restart [--parallel K] [--name NAME]   replace the workers one by one, losing "
    "nobody\n"
    "       sshim upgrade [--name NAME]                  execute the broker's program anew, in "
    "place\n"
    "       sshim stop [--name NAME]                     stop an instance and wait until it is "
    "gone\n"
    "       sshim check [--] COMMAND [ARGUMENTS]         tell whether the library can be loaded "
    "into it\n"
    "       sshim help | version\n"
    "\n"
    "options of run:\n"
    "  -w, --workers N|auto      copies to run; auto (default) = usable cores; 0 without a command "
    "= wait for\n"
    "                            workers that join by SSHIM_BROKER\n"
    "      --name NAME           name of the instance (default: the command's base name)\n"
    "      --control PATH        control socket (default: NAME.sock in $XDG_RUNTIME_DIR/sshim or "
    "/run/sshim)\n"
    "      --handoff MODE        auto (default), broker: every connection through the broker, "
    "direct: workers\n"
    "                            accept by themselves\n"
    "      --balance POLICY      leastconn (default), roundrobin, source: by client address, "
    "first: lowest slot\n"
    "      --share ADDR          also share this address (PORT, HOST:PORT, [IPV6]:PORT, /PATH, "
    "@NAME); all = port 0\n"
    "                            and listeners that come late as well; may be repeated\n"
    "      --private ADDR        leave this address to each copy; may be repeated\n"
    "      --grace SECONDS       how long workers may finish when stopped (default 25)\n"
    "      --start-timeout SECONDS\n"
    "                            how long a worker may take to listen (default 60)\n"
    "      --recall MS           take back a connection that a worker has not accepted after this "
    "(default 5)\n"
    "      --backlog N|app       length of the queue: a number, or app = what the server asks for "
    "(default:\n"
    "                            net.core.somaxconn)\n"
    "      --stuck-warn SECONDS      report a worker that neither waits nor accepts for so long "
    "(default 30,\n"
    "                            0 = never)\n"
    "      --stuck-kill SECONDS      kill and replace it after so long (default 0 = never)\n"
    "      --user USER, --group GROUP\n"
    "                            run the workers as this user and group; ports below 1024 work all "
    "the same\n"
    "      --on-broker-death WHAT    serve (default): workers go on when the broker is killed, and "
    "the next\n"
    "                            'sshim run' of this name takes them over; exit: they end\n"
    "      --ready-fd N          write a newline to this file descriptor when all workers are "
    "ready\n"
    "  -q, --quiet               errors only\n"
    "  -v, --verbose             also tell what each worker does\n"
    "  -h, --help                this text\n"
    "\n"
    "{id} in an argument, and SSHIM_WORKER_ID in the environment, is the slot of the copy, from "
    "0.\n"
    "\n"
    "options of status, restart, upgrade and stop:\n"
    "      --name NAME, --control PATH   which instance (default: the one that runs)\n"
    "      --json                        status as one JSON document\n"
    "      --parallel K                  restart K workers at a time (default 1)\n";

void config_print_help(void)
{
    fputs(help, stdout);
}

static int usage_error(const char *option, const char *value, const char *expected)
{
    log_error("%s '%s' makes no sense: %s; see sshim --help", option, value, expected);
    return EXIT_USAGE;
}

static bool parse_unsigned(const char *text, unsigned max, unsigned *value)
{
    char *end;

    errno = 0;
    unsigned long parsed = strtoul(text, &end, 10);
    if (errno || !isdigit((unsigned char)*text) || *end || parsed > max)
        return false;
    *value = (unsigned)parsed;
    return true;
}

static unsigned usable_cores(void)
{
    cpu_set_t cores;
    return sched_getaffinity(0, sizeof cores, &cores) == 0 ? (unsigned)CPU_COUNT(&cores) : 1;
}

static int parse_workers(struct config *config, const char *text)
{
    if (strcmp(text, "auto") == 0) {
        config->workers = usable_cores();
        return -1;
    }
    if (parse_unsigned(text, CONFIG_WORKERS_MAX, &config->workers))
        return -1;
    return usage_error("--workers", text, "give a number from 0 to 4096, or auto");
}

static int parse_choice(const char *option, const char *text, const char *const *names, int count,
                        int *choice)
{
    char expected[96] = "give one of";

    for (int i = 0; i < count; i++) {
        if (strcmp(text, names[i]) == 0) {
            *choice = i;
            return -1;
        }
        strcat(strcat(expected, i ? ", " : " "), names[i]);
    }
    return usage_error(option, text, expected);
}

static int parse_handoff(struct config *config, const char *text)
{
    static const char *const names[] = {
#define X(name, text) text,
        CONFIG_HANDOFFS(X)
#undef X
    };
    int choice = 0;
    int result = parse_choice("--handoff", text, names, sizeof names / sizeof names[0], &choice);
    config->handoff = (enum config_handoff)choice;
    return result;
}

static int parse_balance(struct config *config, const char *text)
{
    static const char *const names[] = {
#define X(name, text) text,
        CONFIG_BALANCES(X)
#undef X
    };
    int choice = 0;
    int result = parse_choice("--balance", text, names, sizeof names / sizeof names[0], &choice);
    config->balance = (enum config_balance)choice;
    return result;
}

static int parse_pattern(const char *option, struct config_patterns *patterns, const char *text)
{
    if (!address_is_pattern(text))
        return usage_error(option, text, "give PORT, HOST:PORT, [IPV6]:PORT, /PATH, @NAME or all");
    if (patterns->count == CONFIG_PATTERNS_MAX)
        return usage_error(option, text, "there are too many of them");
    patterns->at[patterns->count++] = text;
    return -1;
}

static int parse_seconds(const char *option, const char *text, unsigned *value)
{
    return parse_unsigned(text, 86400, value)
               ? -1
               : usage_error(option, text, "give whole seconds, at most 86400");
}

static int parse_recall(struct config *config, const char *text)
{
    if (parse_unsigned(text, 10000, &config->recall_ms) && config->recall_ms > 0)
        return -1;
    return usage_error("--recall", text, "give milliseconds from 1 to 10000");
}

static int parse_backlog(struct config *config, const char *text)
{
    unsigned value = 0;

    if (strcmp(text, "app") != 0 && (!parse_unsigned(text, INT_MAX, &value) || value == 0))
        return usage_error("--backlog", text, "give a number from 1, or app");
    config->backlog = (int)value;
    return -1;
}

static int parse_on_broker_death(struct config *config, const char *text)
{
    static const char *const names[] = {"serve", "exit"};
    int choice = 0;
    int result = parse_choice("--on-broker-death", text, names, 2, &choice);
    config->exit_on_broker_death = choice == 1;
    return result;
}

static int parse_ready_fd(struct config *config, const char *text)
{
    unsigned fd;

    if (!parse_unsigned(text, INT_MAX, &fd))
        return usage_error("--ready-fd", text, "give the number of an open file descriptor");
    config->ready_fd = (int)fd;
    return -1;
}

static int parse_run_option(struct config *config, int option, const char *value)
{
    switch (option) {
    case 'w': return parse_workers(config, value);
    case OPT_NAME: config->name = value; return -1;
    case OPT_CONTROL: config->control = value; return -1;
    case OPT_HANDOFF: return parse_handoff(config, value);
    case OPT_BALANCE: return parse_balance(config, value);
    case OPT_SHARE: return parse_pattern("--share", &config->share, value);
    case OPT_PRIVATE: return parse_pattern("--private", &config->private, value);
    case OPT_GRACE: return parse_seconds("--grace", value, &config->grace_s);
    case OPT_START_TIMEOUT:
        return parse_seconds("--start-timeout", value, &config->start_timeout_s);
    case OPT_RECALL: return parse_recall(config, value);
    case OPT_BACKLOG: return parse_backlog(config, value);
    case OPT_ON_BROKER_DEATH: return parse_on_broker_death(config, value);
    case OPT_STUCK_WARN: return parse_seconds("--stuck-warn", value, &config->stuck_warn_s);
    case OPT_STUCK_KILL: return parse_seconds("--stuck-kill", value, &config->stuck_kill_s);
    case OPT_USER: config->user = value; return -1;
    case OPT_GROUP: config->group = value; return -1;
    case OPT_READY_FD: return parse_ready_fd(config, value);
    case 'q': config->verbosity = LOG_LEVEL_QUIET; return -1;
    case 'v': config->verbosity = LOG_LEVEL_VERBOSE; return -1;
    case 'h': config_print_help(); return EXIT_STOPPED;
    default: return EXIT_USAGE;
    }
}

/* getopt's own message, in our words. Offers the offending argument as the reader typed it. */
static int bad_option(char **argv, int result)
{
    char letter[] = {'-', (char)optopt, '\0'};
    const char *text = argv[optind - 1];

    /* Among several letters (-qZv) optind has not moved on yet. Of --quiet=1 optopt is 'q', which
     * is known. */
    if (result == '?' && optopt > 0 && optopt < OPT_NAME && !strchr("wqvh", optopt))
        text = letter;
    if (result == ':')
        log_error("option %s needs a value; see sshim --help", text);
    else
        log_error("unknown option %s; see sshim --help", text);
    return EXIT_USAGE;
}

int config_parse(struct config *config, int argc, char **argv)
{
    *config = (struct config){
        .workers = usable_cores(),
        .grace_s = 25,
        .start_timeout_s = 60,
        .recall_ms = 5,
        .stuck_warn_s = 30,
        .backlog = INT_MAX,
        .ready_fd = -1,
        .verbosity = LOG_LEVEL_NORMAL,
    };
    optind = 0; /* glibc: start over, re-read the flags in the option string */
    for (int option; (option = getopt_long(argc, argv, "+:w:qvh", run_options, NULL)) != -1;) {
        int result = option == '?' || option == ':' ? bad_option(argv, option)
                                                    : parse_run_option(config, option, optarg);
        if (result >= 0)
            return result;
    }
    for (int i = 0; i < config->share.count; i++)
        config->share_all |= strcmp(config->share.at[i], "all") == 0;
    config->command = optind < argc ? argv + optind : NULL;
    if (!config->command && config->workers != 0) {
        log_error("there is no command to run; write 'sshim run [options] -- COMMAND', or -w 0 to "
                  "wait for workers "
                  "that join");
        return EXIT_USAGE;
    }
    if (config->command && config->workers == 0) {
        log_error("-w 0 starts no copy of '%s'; leave the command out to wait for workers that "
                  "join, or give -w 1 or "
                  "more",
                  config->command[0]);
        return EXIT_USAGE;
    }
    return -1;
}

int config_parse_target(struct config_target *target, const char *command, int argc, char **argv)
{
    *target = (struct config_target){0};
    optind = 0;
    for (int option; (option = getopt_long(argc, argv, "+:h", target_options, NULL)) != -1;) {
        switch (option) {
        case OPT_NAME: target->name = optarg; break;
        case OPT_CONTROL: target->control = optarg; break;
        case OPT_JSON: target->json = true; break;
        case OPT_PARALLEL:
            if (!parse_unsigned(optarg, CONFIG_WORKERS_MAX, &target->parallel) || !target->parallel)
                return usage_error("--parallel", optarg, "give a number from 1");
            break;
        case 'h': config_print_help(); return EXIT_STOPPED;
        default: return bad_option(argv, option);
        }
    }
    if (optind < argc) {
        log_error("sshim %s takes no argument '%s'; see sshim --help", command, argv[optind]);
        return EXIT_USAGE;
    }
    return -1;
}

int config_parse_check(int argc, char **argv, char ***command)
{
    optind = 0;
    for (int option; (option = getopt_long(argc, argv, "+:h", check_options, NULL)) != -1;) {
        if (option != 'h')
            return bad_option(argv, option);
        config_print_help();
        return EXIT_STOPPED;
    }
    *command = argv + optind;
    if (optind < argc)
        return -1;
    log_error("there is no command to check; write 'sshim check -- COMMAND'");
    return EXIT_USAGE;
}
