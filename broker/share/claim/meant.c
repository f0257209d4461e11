/* meant.c - see meant.h. */
#include "broker/share/claim/meant.h"

#include <assert.h>

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

/* Once for a worker and rule: a server may try for ever. */
static void tell_other_family(struct worker *worker, const struct address *address, int rule)
{
    char text[ADDRESS_TEXT_MAX];
    uint32_t bit = UINT32_C(1) << rule;
    static_assert(CONFIG_PATTERNS_MAX <= 32, "told_of_ports has a bit for each");

    if (worker->told_of_ports & bit)
        return;
    worker->told_of_ports |= bit;
    log_error("cannot bind %s by --port %s: the two hosts are of different families; name a host "
              "of the same family, or the port alone",
              address_format(address, text), broker.config.port.at[rule]);
}

enum meant meant_address(struct worker *worker, const struct socket_key *key,
                         struct address *address)
{
    int rule;

    switch (ports_apply(&broker.config.port, key->zone, address, &rule)) {
    case PORTS_REPLACED: return MEANT_ANOTHER;
    case PORTS_OTHER_FAMILY: tell_other_family(worker, address, rule); return MEANT_NONE;
    case PORTS_NONE: break;
    }
    if (worker->joined || !is_for_each(address, key))
        return MEANT_AS_ASKED;
    return address_add_to_port(address, worker->slot) ? MEANT_ANOTHER : MEANT_NONE;
}
