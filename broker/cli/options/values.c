/* values.c - see values.h. */
#include "broker/cli/options/values.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/base/address.h"
#include "broker/base/config.h"
#include "broker/base/options/parse.h"
#include "broker/cli/options/cores.h"
#include "broker/cli/options/ports.h"

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

bool value_workers(const struct option_row *row, void *into, const char *value)
{
    struct config *config = into;

    config->workers_auto = false;
    config->workers_max = 0;
    if (strstr(value, ".."))
        return read_range(row, config, value);
    if (strcmp(value, "auto") != 0)
        return option_number(row, into, value);
    config->cores = cores_usable();
    config->workers = cores_permitted();
    config->workers_auto = true;
    return true;
}

bool value_pattern(const struct option_row *row, void *into, const char *value)
{
    struct config_patterns *patterns = (void *)((char *)into + row->offset);

    if (!address_is_pattern(value) || patterns->count == CONFIG_PATTERNS_MAX)
        return false;
    patterns->at[patterns->count++] = value;
    return true;
}

/* "http" or "http@8080": one of the row's names. */
bool value_rule(const struct option_row *row, void *into, const char *value)
{
    struct config_rules *rules = (void *)((char *)into + row->offset);
    const char *at = strchr(value, '@');
    size_t len = at ? (size_t)(at - value) : strlen(value);
    const char *pattern = at ? at + 1 : "all";

    for (int kind = 0; row->names[kind]; kind++) {
        if (strlen(row->names[kind]) != len || memcmp(row->names[kind], value, len) != 0 ||
            !address_is_pattern(pattern) || address_is_pattern_of_zero(pattern) ||
            rules->count == CONFIG_PATTERNS_MAX)
            continue;
        rules->at[rules->count].kind = kind;
        rules->at[rules->count++].pattern = pattern;
        return true;
    }
    return false;
}

bool value_bound(const struct option_row *row, void *into, const char *value)
{
    return !address_is_pattern_of_zero(value) && value_pattern(row, into, value);
}

bool value_unshared(const struct option_row *row, void *into, const char *value)
{
    struct config *config = into;

    if (!address_is_each(value))
        return value_pattern(row, into, value);
    if (config->unshared.count == CONFIG_PATTERNS_MAX)
        return false;
    config->unshared.at[config->unshared.count++] = value;
    config->unshared_has_each = true;
    return true;
}

bool value_port(const struct option_row *row, void *into, const char *value)
{
    struct config_patterns *rules = (void *)((char *)into + row->offset);

    if (!ports_is_rule(value) || rules->count == CONFIG_PATTERNS_MAX)
        return false;
    rules->at[rules->count++] = value;
    return true;
}

bool value_networks(const struct option_row *row, void *into, const char *value)
{
    return cidr_set_add_list((void *)((char *)into + row->offset), value);
}

bool value_when_full(const struct option_row *row, void *into, const char *value)
{
    struct config_when_full *full = (void *)((char *)into + row->offset);

    full->kind = strcmp(value, "queue") == 0   ? WHEN_FULL_QUEUE
                 : strcmp(value, "close") == 0 ? WHEN_FULL_CLOSE
                                               : WHEN_FULL_ANSWER;
    full->file = full->kind == WHEN_FULL_ANSWER ? value : NULL;
    return *value != '\0';
}

/* "5" a second, "100/60". */
bool value_rate(const struct option_row *row, void *into, const char *value)
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

bool value_prefix(const struct option_row *row, void *into, const char *value)
{
    struct config_per_source *limits = (void *)((char *)into + row->offset);
    int end = 0;

    return sscanf(value, "%u,%u%n", &limits->bits_ipv4, &limits->bits_ipv6, &end) == 2 &&
           value[end] == '\0' && strspn(value, "0123456789,") == strlen(value) &&
           limits->bits_ipv4 <= 32 && limits->bits_ipv6 <= 128;
}

/* An int at the row's offset: so many, or 0 for "app". */
bool value_backlog(const struct option_row *row, void *into, const char *value)
{
    struct config *config = into;
    unsigned number = 0;

    if (strcmp(value, "app") != 0 && !option_parse_number(value, row->min, row->max, &number))
        return false;
    config->backlog = (int)number;
    return true;
}

bool value_fd(const struct option_row *row, void *into, const char *value)
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

bool value_env(const struct option_row *row, void *into, const char *value)
{
    size_t name = strcspn(value, "=");

    return name > 0 && value[name] == '=' && strncmp(value, "SSHIM_", 6) != 0 &&
           add_text(row, into, value);
}

bool value_umask(const struct option_row *row, void *into, const char *value)
{
    (void)row;
    return read_mode(value, &((struct config *)into)->copy.umask);
}

bool value_nice(const struct option_row *row, void *into, const char *value)
{
    bool is_negative = *value == '-';
    unsigned number;

    (void)row;
    if (!option_parse_number(value + is_negative, 0, is_negative ? 20 : 19, &number))
        return false;
    ((struct config *)into)->copy.nice = is_negative ? -(int)number : (int)number;
    return true;
}

bool value_limit(const struct option_row *row, void *into, const char *value)
{
    struct rlimit limit;
    int resource;

    return option_parse_limit(value, &resource, &limit) && add_text(row, into, value);
}

bool value_cpus(const struct option_row *row, void *into, const char *value)
{
    cpu_set_t cpus;

    return (strcmp(value, CONFIG_CPUS_SPREAD) == 0 || option_parse_cpus(value, &cpus)) &&
           option_text(row, into, value);
}

bool value_age(const struct option_row *row, void *into, const char *value)
{
    return option_parse_duration(value, (unsigned *)(void *)((char *)into + row->offset));
}

bool value_size(const struct option_row *row, void *into, const char *value)
{
    return option_parse_size(value, (uint64_t *)(void *)((char *)into + row->offset));
}

bool value_ready(const struct option_row *row, void *into, const char *value)
{
    struct config_ready *ready = (void *)((char *)into + row->offset);
    const char *delay = row->names[READINESS_DELAY];
    size_t len = strlen(delay);

    ready->mode = READINESS_LISTEN;
    for (int mode = 0; mode < READINESS_DELAY; mode++)
        if (strcmp(value, row->names[mode]) == 0) {
            ready->mode = (enum config_readiness)mode;
            return true;
        }
    if (strncmp(value, delay, len) != 0)
        return false;
    ready->mode = READINESS_DELAY;
    return option_parse_number(value + len, 0, DAY_S, &ready->delay_s);
}

bool value_filled(const struct option_row *row, void *into, const char *value)
{
    return *value && option_text(row, into, value);
}

bool value_name(const struct option_row *row, void *into, const char *value)
{
    size_t len = 0;

    while (isalnum((unsigned char)value[len]) || (value[len] && strchr("._-", value[len])))
        len++;
    return len > 0 && len <= CONFIG_NAME_MAX && !value[len] && value[0] != '.' &&
           option_text(row, into, value);
}

bool value_control_ro(const struct option_row *row, void *into, const char *value)
{
    struct config_read_only *socket = (void *)((char *)into + row->offset);
    char mode[8] = "660";

    *socket = (struct config_read_only){.path = ""};
    int parts = sscanf(value, "%107[^,],%7[^,],%63[^,]", socket->path, mode, socket->group);
    size_t len = strlen(socket->path) + (parts > 1 ? 1 + strlen(mode) : 0) +
                 (parts > 2 ? 1 + strlen(socket->group) : 0);
    return parts > 0 && len == strlen(value) && read_mode(mode, &socket->mode);
}

bool value_address(const struct option_row *row, void *into, const char *value)
{
    struct address address;

    return address_parse(value, &address) && option_text(row, into, value);
}

bool value_quiet(const struct option_row *row, void *into, const char *value)
{
    (void)row;
    (void)value;
    ((struct config *)into)->verbosity = LOG_LEVEL_QUIET;
    return true;
}

bool value_verbose(const struct option_row *row, void *into, const char *value)
{
    (void)row;
    (void)value;
    ((struct config *)into)->verbosity = LOG_LEVEL_VERBOSE;
    return true;
}
