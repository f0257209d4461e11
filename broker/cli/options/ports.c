/* ports.c - see ports.h. */
#include "broker/cli/options/ports.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct rule {
    char text[ADDRESS_TEXT_MAX]; /* APP as it was written */
    struct address asked, real;  /* without a host only the port counts */
    bool asked_has_host, has_host;
};

/* A port other than 0, of a host or of none. */
static bool read_side(const char *text, struct address *address, bool *has_host)
{
    *has_host = strchr(text, ':') != NULL;
    return address_parse(text, address) && address_port(address) > 0;
}

static bool read_rule(const char *text, struct rule *rule)
{
    const char *equals = strchr(text, '=');
    size_t len = equals ? (size_t)(equals - text) : 0;

    if (len == 0 || len >= sizeof rule->text)
        return false;
    memcpy(rule->text, text, len);
    rule->text[len] = '\0';
    const char *asked = strncmp(rule->text, "*:", 2) == 0 ? rule->text + 2 : rule->text;
    if (!read_side(asked, &rule->asked, &rule->asked_has_host) ||
        !read_side(equals + 1, &rule->real, &rule->has_host))
        return false;
    return !rule->asked_has_host || !rule->has_host ||
           rule->asked.storage.ss_family == rule->real.storage.ss_family;
}

bool ports_is_rule(const char *text)
{
    struct rule rule;

    return read_rule(text, &rule);
}

/* Whether all that the later one is for goes to the earlier one. */
static bool hides(const struct rule *earlier, const struct rule *later)
{
    if (!earlier->asked_has_host)
        return address_port(&earlier->asked) == address_port(&later->asked);
    return later->asked_has_host && address_equal(&earlier->asked, &later->asked);
}

/* Where a rule leads; without a host only the port counts. */
static bool find_end(const struct rule *rule, struct address *end)
{
    *end = rule->has_host ? rule->real : rule->asked;
    address_set_port(end, (unsigned)address_port(&rule->real));
    return rule->has_host || rule->asked_has_host;
}

static bool lead_to_one(const struct rule *a, const struct rule *b)
{
    struct address end, other_end;
    bool has_host = find_end(a, &end);

    if (has_host != find_end(b, &other_end))
        return false;
    return has_host ? address_equal(&end, &other_end)
                    : address_port(&end) == address_port(&other_end);
}

enum ports_clash ports_find_clash(const struct config_patterns *rules, const char **first,
                                  const char **second)
{
    struct rule earlier, later;

    for (int i = 0; i < rules->count; i++)
        for (int j = i + 1; j < rules->count; j++) {
            *first = rules->at[i];
            *second = rules->at[j];
            if (strcmp(*first, *second) == 0 || !read_rule(*first, &earlier) ||
                !read_rule(*second, &later))
                continue;
            if (hides(&earlier, &later))
                return PORTS_HIDDEN;
            if (lead_to_one(&earlier, &later))
                return PORTS_SAME_END;
        }
    return PORTS_NO_CLASH;
}

static enum ports_result replace(const struct rule *rule, struct address *address)
{
    if (!rule->has_host) {
        address_set_port(address, (unsigned)address_port(&rule->real));
        return PORTS_REPLACED;
    }
    if (rule->real.storage.ss_family != address->storage.ss_family)
        return PORTS_OTHER_FAMILY;
    *address = rule->real;
    return PORTS_REPLACED;
}

enum ports_result ports_apply(const struct config_patterns *rules, const char *zone,
                              struct address *address, int *rule)
{
    struct rule parsed;

    for (int i = 0; i < rules->count && address_port(address) >= 0; i++) {
        if (!read_rule(rules->at[i], &parsed) || !address_matches(address, zone, parsed.text))
            continue;
        *rule = i;
        return replace(&parsed, address);
    }
    return PORTS_NONE;
}

/* "80", or with its host in hexadecimal: "7f000001:80". Returns the length. */
static size_t format_side(char text[PORTS_SIDE_MAX], const struct address *address, bool has_host)
{
    const struct sockaddr_in *in = (const struct sockaddr_in *)&address->storage;
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&address->storage;
    bool is_ipv6 = address->storage.ss_family == AF_INET6;
    const uint8_t *host = is_ipv6 ? in6->sin6_addr.s6_addr : (const uint8_t *)&in->sin_addr;
    size_t host_len = is_ipv6 ? sizeof in6->sin6_addr : sizeof in->sin_addr;
    int used = 0;

    for (size_t i = 0; has_host && i < host_len; i++)
        used += sprintf(text + used, "%02x", host[i]);
    used += sprintf(text + used, has_host ? ":%d" : "%d", address_port(address));
    return (size_t)used;
}

void ports_format_asked(const struct config_patterns *rules, char text[PORTS_TEXT_MAX])
{
    struct rule rule;
    struct address end;
    char *at = text;

    for (int i = 0; i < rules->count; i++) {
        if (!read_rule(rules->at[i], &rule))
            continue;
        bool tells_host = rule.has_host && rule.asked_has_host &&
                          !address_is_any_host(&rule.asked); /* no connection has that as its own */
        bool has_host = find_end(&rule, &end);
        if (at > text)
            *at++ = ' ';
        at += format_side(at, &end, has_host);
        *at++ = '=';
        at += format_side(at, &rule.asked, tells_host);
    }
    *at = '\0';
}
