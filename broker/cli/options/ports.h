/*
 * ports.h - --port APP=REAL: the server asks for APP and gets REAL, which is what the world sees.
 * Pure functions over the rules that were given.
 */
#ifndef SSHIM_BROKER_CLI_OPTIONS_PORTS_H
#define SSHIM_BROKER_CLI_OPTIONS_PORTS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

#include "broker/base/address.h"
#include "broker/base/config.h"

/* APP: "PORT", "*:PORT", "HOST:PORT" or "[IPV6]:PORT", and REAL: the same without "*", where a PORT
 * alone leaves the host as the server asks for it. Two hosts have to be of one family. */
bool ports_is_rule(const char *rule);

enum ports_clash {
    PORTS_NO_CLASH,
    PORTS_HIDDEN,  /* the first is for all that the second is for */
    PORTS_SAME_END /* both give one address, which a server can bind once */
};

/* The first two rules that cannot both be kept. */
enum ports_clash ports_find_clash(const struct config_patterns *rules, const char **first,
                                  const char **second);

enum ports_result {
    PORTS_NONE,        /* no rule is about this address */
    PORTS_REPLACED,    /* it is REAL now */
    PORTS_OTHER_FAMILY /* REAL has a host that this kind of socket cannot bind */
};

/* The first rule whose APP matches (address_matches()) changes the address; *rule is its number. */
enum ports_result ports_apply(const struct config_patterns *rules, const char *zone,
                              struct address *address, int *rule);

/* "80=8080 7f000002:443=7f000001:8443": what the library tells a server that asks for the address
 * of its socket. A host only where a rule says so. "" for none. */
#define PORTS_SIDE_MAX (sizeof(struct in6_addr) * 2 + sizeof ":65535")
#define PORTS_TEXT_MAX ((size_t)CONFIG_PATTERNS_MAX * 2 * PORTS_SIDE_MAX)
void ports_format_asked(const struct config_patterns *rules, char text[PORTS_TEXT_MAX]);

#endif
