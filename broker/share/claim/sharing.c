/* sharing.c - see sharing.h. */
#include "broker/share/claim/sharing.h"

#include "broker/base/broker.h"
#include "broker/base/loop.h"
#include "broker/diagnose/clients.h"
#include "broker/pool/listener.h"
#include "broker/share/retire.h"

static bool matches_any(const struct config_patterns *patterns, const struct address *address,
                        const struct socket_key *key)
{
    for (int i = 0; i < patterns->count; i++)
        if (address_matches(address, key->zone, patterns->at[i]))
            return true;
    return false;
}

bool sharing_is_asked(const struct address *address, const struct socket_key *key)
{
    return matches_any(&broker.config.share, address, key);
}

/* The process that has bound a listener opens further ones of its own, and clients came in between.
 * FTP servers bind their data ports in another process, or later. */
static bool begins(const struct worker *worker, pid_t asker)
{
    const struct channel *channel;

    if (loop_now_ms() - worker->ready_ms >= WIRE_BEGINNING_MS || retire_is_data_port(NULL))
        return false;
    LIST_FOREACH(channel, &worker->channels, of_worker)
        if (channel->grant.claimant == asker)
            return true;
    return false;
}

/* Whether it has begun to serve clients. The accepts of a worker with a filter are not seen: it
 * must have a client now, as an FTP server with a data port. */
static bool has_served(const struct worker *worker, pid_t asker, const struct address *address)
{
    if (worker_is_notified(worker))
        return worker->has_listened && clients_are_there(worker, asker);
    /* The clients of a name of AF_UNIX are often the server's own processes, as in Python's
     * multiprocessing: they say nothing about a port. */
    return address->storage.ss_family == AF_UNIX ? worker_accepted(worker) > 0
                                                 : worker_has_accepted_at_port(worker);
}

static bool is_late(const struct worker *worker, pid_t asker, const struct address *address)
{
    return !begins(worker, asker) && has_served(worker, asker, address);
}

/* Another worker has it, and not for a client of its own. */
static bool is_had(const struct address *address, const struct socket_key *key)
{
    const struct listener *listener = listener_find(address, key, 0);

    return listener && !retire_is_data_port(listener);
}

bool sharing_covers(const struct worker *worker, pid_t asker, const struct address *address,
                    const struct socket_key *key)
{
    if (matches_any(&broker.config.unshared, address, key))
        return false;
    if (sharing_is_asked(address, key))
        return true;
    if (address_has_port_zero(address))
        return false;
    return !is_late(worker, asker, address) || worker_has_left(worker) || is_had(address, key) ||
           retire_was_shared(address);
}

bool sharing_is_of_beginning(const struct worker *worker, pid_t asker,
                             const struct address *address, const struct socket_key *key)
{
    return has_served(worker, asker, address) && !worker_has_left(worker) &&
           !retire_was_shared(address) && !sharing_is_asked(address, key);
}
