/* grant.h - the broker's answers to a worker's request. */
#ifndef SSHIM_BROKER_SHARE_GRANT_H
#define SSHIM_BROKER_SHARE_GRANT_H

#include <stdbool.h>

#include "broker/pool/session/session.h"

/* A verdict without a channel. Whether the session goes on: after WIRE_VACANT, and until
 * WIRE_PRIVATE can be said. */
bool grant_answer(struct session *session, enum wire_verdict verdict, int error);

/* Everything that belongs to a channel; worker_fd (borrowed) is -1 when the worker has its end.
 * False: not sent. */
bool grant_send(struct session *session, const struct channel *channel, int worker_fd);

/* The table of clients behind balancers, if there is one. */
void grant_send_proxied(struct session *session);

/* Writes into its scoreboard what holds for every channel of this broker. */
void grant_mark(struct channel *channel);

/* Makes a channel for this worker, of which the process asks, and gives the worker's end. NULL:
 * memory is out, or it has too many; a listener that was made for this ends. */
struct channel *grant_open(struct listener *listener, struct worker *worker, pid_t asker,
                           int *worker_fd);

/* The same for a session's worker, and sends it. False: the session is over. */
bool grant_channel(struct session *session, struct listener *listener, struct worker *worker);

#endif
