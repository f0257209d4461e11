/*
 * retire.h - listeners that no living worker has. Such a listener is kept while a worker may come
 * back to it: then its clients wait. When none may, it is closed: then they are refused, as they
 * are where a server has closed its port. pool/listener.c says when there is something to look at.
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

/* Whether it is this worker's alone (NULL: nobody's), as a socket in a temporary folder is: other
 * workers have opened all that they have, and not this. */
bool retire_is_own(const struct listener *listener, const struct worker *owner);

/* Whether a listener of this address was closed here: one of the last 64. */
bool retire_was_shared(const struct address *address);

/* Another broker was here before: which worker ended with what is not known. */
void retire_resume(void);

#endif
