/* access.c - see access.h. */
#include "broker/handout/front/access.h"

#include <inttypes.h>
#include <stdio.h>

#include "broker/base/broker.h"
#include "broker/base/log.h"
#include "broker/base/loop.h"

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

void access_init(void)
{
    rule_count = 0;
    for (unsigned i = 0; i < broker.config.allow.count; i++)
        set(&broker.config.allow.at[i], false, false);
    for (unsigned i = 0; i < broker.config.deny.count; i++)
        set(&broker.config.deny.at[i], true, false);
}

bool access_is_limited(void)
{
    return rule_count > 0;
}

bool access_permits(const struct cidr_host *host)
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
    if (!access_permits(&kept.network.host))
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
