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

/* After another broker: it is not known which listeners an ended worker had. */
void retire_resume(void);

#endif
