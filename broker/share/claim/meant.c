/* meant.c - see meant.h. */
#include "broker/share/claim/meant.h"

#include "broker/base/broker.h"
#include "broker/base/log.h"
#include "broker/cli/options/ports.h"

/* --unshared 8081+{id}: each slot has a port of its own, which only its workers share, one after
 * the other, so that a restart needs no moment without it. */
static bool is_for_each(const struct address *address, const struct socket_key *key)
{
    const struct config_patterns *patterns = &broker.config.unshared;

    for (int i = 0; broker.config.unshared_has_each && i < patterns->count; i++)
        if (address_is_each(patterns->at[i]) &&
            address_matches(address, key->zone, patterns->at[i]))
            return true;
    return false;
}

static void tell_other_family(const struct address *address, const char *rule)
{
    char text[ADDRESS_TEXT_MAX];

    log_error("cannot bind %s by --port %s: the two hosts are of different families; name a host "
              "of the same family, or the port alone",
              address_format(address, text), rule);
}

enum meant meant_address(const struct worker *worker, const struct socket_key *key,
                         struct address *address)
{
    const char *rule;

    switch (ports_apply(&broker.config.port, key->zone, address, &rule)) {
    case PORTS_REPLACED: return MEANT_ANOTHER;
    case PORTS_OTHER_FAMILY: tell_other_family(address, rule); return MEANT_NONE;
    case PORTS_NONE: break;
    }
    if (worker->joined || !is_for_each(address, key))
        return MEANT_AS_ASKED;
    return address_add_to_port(address, worker->slot) ? MEANT_ANOTHER : MEANT_NONE;
}
