/* access.c - see access.h. */
#include "broker/handout/front/access.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "broker/base/broker.h"
#include "broker/base/log.h"
#include "broker/base/loop.h"
#include "broker/base/turn.h"
#include "broker/diagnose/sock_diag.h"
#include "broker/handout/front/sources.h"

#define RULES_MAX 1024
#define SILENCE_MS 60000
#define REASONS_MAX 24

struct rule {
    struct cidr network;
    bool denied;
    bool is_change; /* by access_set() */
};

static struct rule rules[RULES_MAX];
static unsigned rule_count;
static bool counts_sources;

static struct rule *find(const struct cidr *network)
{
    for (unsigned i = 0; i < rule_count; i++)
        if (cidr_equal(&rules[i].network, network))
            return &rules[i];
    return NULL;
}

static bool set(const struct cidr *network, bool denied, bool is_change)
{
    struct rule *rule = find(network);

    if (!rule && rule_count == RULES_MAX)
        return false;
    if (!rule)
        rule = &rules[rule_count++];
    *rule = (struct rule){*network, denied, is_change};
    return true;
}

/* Where the kernel does not answer, none is counted. */
static bool is_open(const struct sock_diag_key *key)
{
    return sock_diag_ask(key) == SOCK_DIAG_OPEN;
}

static int64_t now_us(void)
{
    return turn_read_us(CLOCK_MONOTONIC);
}

static bool begin_limits(void)
{
    const struct config_per_source *asked = &broker.config.per_source;
    struct sources_limits limits = {
        .conns = asked->conns,
        .rate = asked->rate,
        .rate_s = asked->rate_s,
        .penalty_s = asked->penalty_s,
        .bits_ipv4 = asked->bits_ipv4,
        .bits_ipv6 = asked->bits_ipv6,
        .is_open = is_open,
        .now_us = now_us,
    };

    counts_sources = asked->conns > 0 || asked->rate > 0;
    return !counts_sources || sources_init(&limits);
}

bool access_init(void)
{
    rule_count = 0;
    for (unsigned i = 0; i < broker.config.allow.count; i++)
        set(&broker.config.allow.at[i], false, false);
    for (unsigned i = 0; i < broker.config.deny.count; i++)
        set(&broker.config.deny.at[i], true, false);
    return begin_limits();
}

/* What an operator has said of a network by a command stays. */
static void set_of_options(const struct cidr_set *networks, bool denied)
{
    for (unsigned i = 0; i < networks->count; i++)
        if (!find(&networks->at[i]) && !set(&networks->at[i], denied, false))
            log_error("there is no room for all networks of --allow and --deny: the others have no "
                      "effect");
}

void access_reread(bool limits_changed)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < rule_count; i++)
        if (rules[i].is_change)
            rules[kept++] = rules[i];
    rule_count = kept;
    set_of_options(&broker.config.allow, false);
    set_of_options(&broker.config.deny, true);
    if (limits_changed && !begin_limits()) {
        counts_sources = false;
        log_error("cannot count the connections of each client: out of memory; the limits of "
                  "sources have no effect");
    }
}

bool access_is_limited(void)
{
    return rule_count > 0 || counts_sources;
}

static bool permits(const struct cidr_host *host)
{
    const struct rule *longest = NULL;

    for (unsigned i = 0; i < rule_count; i++)
        if ((!longest || rules[i].network.bits > longest->network.bits) &&
            cidr_contains(&rules[i].network, host))
            longest = &rules[i];
    return longest ? !longest->denied : broker.config.allow.count == 0;
}

/* Of an operator who denies and allows one client after the other no rule must be left. */
static void drop_idle(struct rule *rule)
{
    struct rule kept = *rule;

    *rule = rules[--rule_count];
    if (!permits(&kept.network.host))
        rules[rule_count++] = kept;
}

bool access_set(const struct cidr *network, bool denied)
{
    const struct rule *before = find(network);
    bool was_change = !before || before->is_change;

    if (!set(network, denied, true))
        return false;
    if (was_change && !denied)
        drop_idle(find(network));
    return true;
}

void access_each_change(void (*visit)(const struct cidr *network, bool denied, void *context),
                        void *context)
{
    for (unsigned i = 0; i < rule_count; i++)
        if (rules[i].is_change)
            visit(&rules[i].network, rules[i].denied, context);
}

void access_tell(const struct cidr_host *host, const char *why)
{
    static struct {
        const char *why;
        int64_t told_ms;
        uint64_t untold;
    } reasons[REASONS_MAX];
    char text[CIDR_TEXT_MAX];
    struct cidr cidr = {*host, 128};
    unsigned i = 0;

    while (reasons[i].why && reasons[i].why != why && i < REASONS_MAX - 1)
        i++;
    if (reasons[i].why && loop_now_ms() - reasons[i].told_ms < SILENCE_MS) {
        reasons[i].untold++;
        return;
    }
    char others[80] = "";
    if (reasons[i].untold)
        snprintf(others, sizeof others, "; so were %" PRIu64 " others since the last such message",
                 reasons[i].untold);
    log_info("closed a connection of %s: %s%s", cidr_format(&cidr, text), why, others);
    reasons[i].why = why;
    reasons[i].told_ms = loop_now_ms();
    reasons[i].untold = 0;
}

/* Why a connection of this client is not taken, or NULL. */
static const char *refuse(int fd, const struct cidr_host *host)
{
    struct sock_diag_key key;
    bool has_key = sources_want_keys() && sock_diag_identify(fd, &key);

    return sources_refuse(host, has_key ? &key : NULL);
}

enum access access_ask(int fd, const struct cidr_host *host)
{
    bool is_denied = rule_count > 0 && !permits(host);
    const char *why = is_denied ? "it is denied" : counts_sources ? refuse(fd, host) : NULL;

    if (!why)
        return ACCESS_GIVEN;
    access_tell(host, why);
    return is_denied ? ACCESS_DENIED : ACCESS_LIMITED;
}
