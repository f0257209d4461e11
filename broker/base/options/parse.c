/* parse.c - see parse.h. */
#include "broker/base/options/parse.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool option_parse_number(const char *text, unsigned min, unsigned max, unsigned *value)
{
    char *end;

    errno = 0;
    unsigned long parsed = strtoul(text, &end, 10);
    if (errno || !isdigit((unsigned char)*text) || *end || parsed < min || parsed > max)
        return false;
    *value = (unsigned)parsed;
    return true;
}

bool option_parse_size(const char *text, uint64_t *bytes)
{
    static const char units[] = "KMGT";
    char *end;

    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (errno || !isdigit((unsigned char)*text))
        return false;
    const char *unit = *end ? strchr(units, toupper((unsigned char)*end)) : NULL;
    unsigned shift = unit ? 10 * (unsigned)(unit - units + 1) : 0;
    *bytes = (uint64_t)number << shift;
    return (!*end || (unit && !end[1])) && *bytes >> shift == number;
}

bool option_parse_duration(const char *text, unsigned *seconds)
{
    char *end;
    unsigned unit = 1;

    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    switch (*end) {
    case 'd': unit = DAY_S; break;
    case 'h': unit = 3600; break;
    case 'm': unit = 60; break;
    case 's':
    case '\0': break;
    default: return false;
    }
    if (errno || !isdigit((unsigned char)*text) || (*end && end[1]) || number > UINT_MAX / unit)
        return false;
    *seconds = (unsigned)number * unit;
    return true;
}

static bool parse_limit_value(const char *text, rlim_t *value)
{
    uint64_t number = RLIM_INFINITY;
    bool valid = strcmp(text, "unlimited") == 0 || option_parse_size(text, &number);

    *value = (rlim_t)number;
    return valid;
}

static int find_resource(const char *name)
{
    static const struct {
        const char *name;
        int resource;
    } rows[] = {
        {"as", RLIMIT_AS},           {"core", RLIMIT_CORE},
        {"cpu", RLIMIT_CPU},         {"data", RLIMIT_DATA},
        {"fsize", RLIMIT_FSIZE},     {"locks", RLIMIT_LOCKS},
        {"memlock", RLIMIT_MEMLOCK}, {"msgqueue", RLIMIT_MSGQUEUE},
        {"nice", RLIMIT_NICE},       {"nofile", RLIMIT_NOFILE},
        {"nproc", RLIMIT_NPROC},     {"rss", RLIMIT_RSS},
        {"rtprio", RLIMIT_RTPRIO},   {"rttime", RLIMIT_RTTIME},
        {"stack", RLIMIT_STACK},     {"sigpending", RLIMIT_SIGPENDING},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(name, rows[i].name) == 0)
            return rows[i].resource;
    return -1;
}

bool option_parse_limit(const char *text, int *resource, struct rlimit *limit)
{
    char copy[64];

    if (snprintf(copy, sizeof copy, "%s", text) >= (int)sizeof copy)
        return false;
    char *soft = strchr(copy, '=');
    if (!soft)
        return false;
    *soft++ = '\0';
    char *hard = strchr(soft, ':');
    if (hard)
        *hard++ = '\0';
    *resource = find_resource(copy);
    return *resource >= 0 && parse_limit_value(soft, &limit->rlim_cur) &&
           parse_limit_value(hard ? hard : soft, &limit->rlim_max) &&
           limit->rlim_cur <= limit->rlim_max;
}

/* A number at *text, which moves behind it. */
static bool take_cpu(const char **text, unsigned *cpu)
{
    char *end;
    unsigned long number = strtoul(*text, &end, 10);

    if (!isdigit((unsigned char)**text) || number >= CPU_SETSIZE)
        return false;
    *cpu = (unsigned)number;
    *text = end;
    return true;
}

bool option_parse_cpus(const char *text, cpu_set_t *cpus)
{
    unsigned first;
    unsigned last;

    CPU_ZERO(cpus);
    for (;;) {
        if (!take_cpu(&text, &first))
            return false;
        last = first;
        if (*text == '-') {
            text++;
            if (!take_cpu(&text, &last) || last < first)
                return false;
        }
        for (unsigned cpu = first; cpu <= last; cpu++)
            CPU_SET(cpu, cpus);
        if (*text != ',')
            return *text == '\0';
        text++;
    }
}
