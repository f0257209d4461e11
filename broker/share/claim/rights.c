/* rights.c - see rights.h. Between processes of one user there is no boundary to keep. */
#include "broker/share/claim/rights.h"

#include <stdio.h>

#include "broker/base/broker.h"
#include "broker/base/journal.h"
#include "broker/life/slot.h"
#include "broker/pool/listener.h"
#include "broker/pool/session/session.h"
#include "broker/share/retire.h"

#define LOW_PORTS 1024 /* IPPORT_RESERVED; the kernel's own number may be lower */

static bool is_of_ours(uid_t uid)
{
    return uid == 0 || uid == broker.uid;
}

/* From which port on no right is needed, see ip(7). */
static unsigned first_free_port(void)
{
    unsigned first = LOW_PORTS;
    FILE *file = fopen("/proc/sys/net/ipv4/ip_unprivileged_port_start", "re");

    if (!file)
        return first;
    if (fscanf(file, "%u", &first) != 1)
        first = LOW_PORTS;
    fclose(file);
    return first;
}

bool rights_may_bind(uid_t asker_uid, const struct address *address, bool is_named)
{
    int port = address_port(address);

    return is_of_ours(asker_uid) || port <= 0 || port >= (int)first_free_port() || is_named ||
           !slot_was_ever_ready() || retire_was_shared(address);
}

/* Whether all that have it belong to this worker. */
static bool is_alone(const struct worker *worker, const struct listener *listener)
{
    for (uint32_t i = 0; i < listener->channel_count; i++)
        if (listener->channels[i]->worker != worker)
            return false;
    return true;
}

static unsigned count_alone(const struct worker *worker)
{
    const struct channel *channel;
    unsigned count = 0;

    LIST_FOREACH(channel, &worker->channels, of_worker)
        count += is_alone(worker, channel->listener);
    return count;
}

bool rights_has_room(uid_t asker_uid, const struct worker *worker)
{
    const struct listener *listener;
    unsigned used = 0;

    if (is_of_ours(asker_uid))
        return true;
    TAILQ_FOREACH(listener, &listeners, all)
        used++;
    return used + count_alone(worker) + session_count_claims(worker->slot) < JOURNAL_LISTENERS_MAX;
}
