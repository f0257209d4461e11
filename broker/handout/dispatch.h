/*
 * dispatch.h - the life of a connection in the broker: from the canonical socket, or from a channel
 * whose worker does not take it, to an idle worker. While no worker is idle, connections stay in
 * the kernel's backlog.
 *
 * Holds at most one connection per listener, and only while the kernel refuses to pass it on.
 */
#ifndef SSHIM_BROKER_HANDOUT_DISPATCH_H
#define SSHIM_BROKER_HANDOUT_DISPATCH_H

#include "broker/pool/channel.h"
#include "broker/handout/take.h"
#include "broker/pool/listener.h"

/* For listener_init(). */
void dispatch_init(struct listener *listener);
void dispatch_finish(struct listener *listener);

/* Is called before each hand-over, and after it, if the kernel took it; a connection that is taken
 * back comes again. */
void dispatch_set_observer(void (*observer)(const struct channel *channel,
                                            const struct take_connection *connection,
                                            bool is_sent));

/* The worker of this channel listens now, or takes connections again. */
void dispatch_start(struct listener *listener, struct channel *channel);

/* The only worker has closed its listener or shut it down: the address refuses clients, and queued
 * connections are reset. dispatch_start() goes on. */
void dispatch_stop(struct listener *listener);

/* A worker says that it is idle while connections wait. */
void dispatch_wake(struct channel *channel);

/* As listener_pump(). */
void dispatch_pump(struct listener *listener);

/* The rules of front/access.h have changed: no worker takes connections past the broker any more.
 * 0, or -1 with the errno of memfd_create(2) or mmap(2). */
int dispatch_enforce(void);

/* Stops taking connections for good: serves what idle workers can take at once, then the address
 * refuses. */
void dispatch_shut(struct listener *listener);

#endif
