/* ports.c - see ports.h. */
#include "broker/cli/options/ports.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

struct rule {
    char asked[ADDRESS_TEXT_MAX];
    unsigned asked_port;
    bool has_host;       /* in REAL */
    struct address real; /* without a host only its port counts */
};

static unsigned port_of(const struct address *address)
{
    /* the port is in the same place for both */
    return ntohs(((const struct sockaddr_in *)&address->storage)->sin_port);
}

static void set_port(struct address *address, unsigned port)
{
    ((struct sockaddr_in *)&address->storage)->sin_port = htons((in_port_t)port);
}

static bool is_ip(const struct address *address)
{
    return address->storage.ss_family == AF_INET || address->storage.ss_family == AF_INET6;
}

/* A port other than 0, of a host or of none. */
static bool read_side(const char *text, struct address *address, bool *has_host)
{
    *has_host = strchr(text, ':') != NULL;
    return address_parse(text, address) && is_ip(address) && port_of(address) > 0;
}

static bool read_rule(const char *text, struct rule *rule)
{
    const char *equals = strchr(text, '=');
    struct address asked;
    bool asked_has_host;
    size_t len = equals ? (size_t)(equals - text) : 0;

    if (len == 0 || len >= sizeof rule->asked)
        return false;
    memcpy(rule->asked, text, len);
    rule->asked[len] = '\0';
    if (!read_side(rule->asked, &asked, &asked_has_host) ||
        !read_side(equals + 1, &rule->real, &rule->has_host))
        return false;
    rule->asked_port = port_of(&asked);
    return true;
}

bool ports_is_rule(const char *text)
{
    struct rule rule;

    return read_rule(text, &rule);
}

static enum ports_result replace(const struct rule *rule, struct address *address)
{
    if (!rule->has_host) {
        set_port(address, port_of(&rule->real));
        return PORTS_REPLACED;
    }
    if (rule->real.storage.ss_family != address->storage.ss_family)
        return PORTS_OTHER_FAMILY;
    *address = rule->real;
    return PORTS_REPLACED;
}

enum ports_result ports_apply(const struct config_patterns *rules, const char *zone,
                              struct address *address, const char **rule)
{
    struct rule parsed;

    for (int i = 0; i < rules->count && is_ip(address); i++) {
        if (!read_rule(rules->at[i], &parsed) || !address_matches(address, zone, parsed.asked))
            continue;
        *rule = rules->at[i];
        return replace(&parsed, address);
    }
    return PORTS_NONE;
}

void ports_format_asked(const struct config_patterns *rules, char text[PORTS_TEXT_MAX])
{
    struct rule parsed;
    size_t used = 0;

    text[0] = '\0';
    for (int i = 0; i < rules->count && used < PORTS_TEXT_MAX; i++)
        if (read_rule(rules->at[i], &parsed))
            used += (size_t)snprintf(text + used, PORTS_TEXT_MAX - used, "%s%u=%u", used ? " " : "",
                                     port_of(&parsed.real), parsed.asked_port);
}

size_t ports_find_asked(const struct config_patterns *rules, const struct address *real,
                        const char **asked)
{
    struct rule parsed;

    for (int i = 0; i < rules->count && is_ip(real); i++) {
        if (!read_rule(rules->at[i], &parsed) || port_of(&parsed.real) != port_of(real) ||
            (parsed.has_host && !address_equal(&parsed.real, real)))
            continue;
        *asked = rules->at[i];
        return strlen(parsed.asked);
    }
    return 0;
}
