/* sources.c - see sources.h. */
#include "broker/handout/front/sources.h"

#include <stdlib.h>
#include <string.h>

#define WAYS 8 /* places in which a source may be */
#define SETS (SOURCES_MAX / WAYS)
#define NONE UINT32_MAX
#define SHARE 9 /* a futile look is followed by so many times its duration without one */

struct source {
    struct cidr network;
    bool is_used;
    uint32_t open, first; /* its connections, in a list */
    int64_t seen_us;
    int64_t earliest_us; /* of the rate: see is_too_fast() */
    int64_t punished_until_us;
};

struct connection {
    struct sock_diag_key key;
    uint32_t next;
};

static struct sources_limits limits;
static struct source (*sets)[WAYS];
static struct connection *connections;
static uint32_t free_first, used;
static int64_t no_look_until_us;

bool sources_init(const struct sources_limits *of)
{
    limits = *of;
    free(sets);
    free(connections);
    sets = calloc(SETS, sizeof *sets);
    connections = limits.conns > 0 ? calloc(SOURCES_CONNECTIONS_MAX, sizeof *connections) : NULL;
    free_first = NONE;
    used = 0;
    no_look_until_us = 0;
    return sets && (connections || limits.conns == 0);
}

bool sources_want_keys(void)
{
    return limits.conns > 0;
}

static uint32_t hash(const struct cidr_host *host)
{
    uint32_t sum = 2166136261u; /* FNV-1a */

    for (unsigned i = 0; i < sizeof host->bytes; i++)
        sum = (sum ^ host->bytes[i]) * 16777619u;
    return sum ^ sum >> 15;
}

/* What would be lost with a source: less is better. */
static int64_t worth(const struct source *source, int64_t now_us)
{
    if (!source->is_used)
        return -1;
    bool matters = source->open > 0 || source->punished_until_us > now_us;
    return source->seen_us + (matters ? INT64_MAX / 2 : 0);
}

static void give_back(struct source *source, uint32_t *link)
{
    uint32_t i = *link;

    *link = connections[i].next;
    connections[i].next = free_first;
    free_first = i;
    source->open--;
}

static struct source *find(const struct cidr *network, int64_t now_us)
{
    struct source *set = sets[hash(&network->host) % SETS];
    struct source *least = &set[0];

    for (unsigned i = 0; i < WAYS; i++) {
        if (set[i].is_used && cidr_equal(&set[i].network, network))
            return &set[i];
        if (worth(&set[i], now_us) < worth(least, now_us))
            least = &set[i];
    }
    while (least->is_used && least->open > 0)
        give_back(least, &least->first);
    *least = (struct source){.network = *network, .is_used = true, .first = NONE};
    return least;
}

/* A token bucket that holds `rate` tokens, kept as the time at which it was or will be full: GCRA,
 * ITU-T I.371, annex A. */
static bool is_too_fast(struct source *source, int64_t now_us)
{
    if (limits.rate == 0)
        return false;
    int64_t period_us = (int64_t)limits.rate_s * 1000000;
    int64_t full_us = source->earliest_us > now_us ? source->earliest_us : now_us;
    int64_t step_us = period_us / limits.rate;

    if (full_us + step_us - now_us > period_us)
        return true;
    source->earliest_us = full_us + step_us;
    return false;
}

/* Drops what is closed until one place is free. */
static bool has_place(struct source *source, int64_t now_us)
{
    uint32_t *link = &source->first;

    if (source->open < limits.conns)
        return true;
    if (now_us < no_look_until_us)
        return false;
    while (*link != NONE && limits.is_open(&connections[*link].key))
        link = &connections[*link].next;
    if (*link != NONE) {
        give_back(source, link);
        return true;
    }
    int64_t end_us = limits.now_us();
    no_look_until_us = end_us + SHARE * (end_us - now_us);
    return false;
}

/* Newest last: the oldest ones are most likely to be closed. With no room it is not counted. */
static void note(struct source *source, const struct sock_diag_key *key)
{
    uint32_t i = free_first;
    uint32_t *link = &source->first;

    if (i != NONE)
        free_first = connections[i].next;
    else if (used < SOURCES_CONNECTIONS_MAX)
        i = used++;
    else
        return;
    while (*link != NONE)
        link = &connections[*link].next;
    connections[i] = (struct connection){*key, NONE};
    *link = i;
    source->open++;
}

static const char *refuse(struct source *source, const struct sock_diag_key *key, int64_t now_us)
{
    if (source->punished_until_us > now_us)
        return "its penalty is not over";
    if (is_too_fast(source, now_us))
        return "it opens connections too fast (--max-rate-per-source)";
    if (limits.conns == 0 || !key)
        return NULL;
    if (!has_place(source, now_us))
        return "it has too many connections open (--max-conns-per-source)";
    note(source, key);
    return NULL;
}

const char *sources_refuse(const struct cidr_host *host, const struct sock_diag_key *key)
{
    int64_t now_us = limits.now_us();
    struct cidr network = cidr_of_host(host, limits.bits_ipv4, limits.bits_ipv6);
    struct source *source = find(&network, now_us);
    const char *why = refuse(source, key, now_us);

    source->seen_us = now_us;
    if (why && source->punished_until_us <= now_us)
        source->punished_until_us = now_us + (int64_t)limits.penalty_s * 1000000;
    return why;
}
