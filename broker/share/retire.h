/*
 * retire.h - listeners that no living worker has. While a worker may come back to it, such a
 * listener is kept, and its clients wait. Else it is closed, and clients are refused, as natively.
 * pool/listener.c says when to look.
 */
#ifndef SSHIM_BROKER_SHARE_RETIRE_H
#define SSHIM_BROKER_SHARE_RETIRE_H

#include <stdbool.h>

#include "broker/base/address.h"
#include "broker/base/loop.h"

struct channel;
struct listener;
struct worker;

/* For listener_init(): the listener's retire timer. May destroy the listener. */
void retire_on_time(struct loop_timer *retire);

/* Whether a worker has closed all that it shared, and listens on nothing of its own: its slot's
 * next worker will be there soon. */
bool retire_is_about_to_end(const struct worker *worker);

/* Whether it is this worker's alone (NULL: no worker's), as a socket in a temporary folder: other
 * workers have opened all their listeners, and not this one. */
bool retire_is_own(const struct listener *listener, const struct worker *owner);

/* Whether a listener of this address was closed here: one of the last 64. */
bool retire_was_shared(const struct address *address);

/* The same, and also of one that a worker had for its beginning alone, as a data port of FTP. */
bool retire_was_ours(const struct address *address);

/*
 * A worker closes a listener and goes on with others. If it had bound that one just after it had
 * begun to serve, and has accepted there, it was a data port, as FTP servers have for a client: in
 * this pool such listeners are no longer taken for ports that a server opens late.
 */
void retire_note_close(const struct channel *channel);

/* Whether one that a worker binds just after it had begun to serve (NULL), or this listener, is a
 * data port for all that is known. */
bool retire_is_data_port(const struct listener *listener);

/* What retire_note_close() has found so far, for the snapshot. */
bool retire_knows_data_ports(void);

/* After another broker, which had found so much: it is not known which listeners an ended worker
 * had. */
void retire_resume(bool knows_data_ports);

#endif
