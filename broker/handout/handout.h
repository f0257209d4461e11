/*
 * handout.h - whether connections of a listener are handed out at all: from its first worker's
 * listen() until a stop. dispatch.h hands them out.
 */
#ifndef SSHIM_BROKER_HANDOUT_HANDOUT_H
#define SSHIM_BROKER_HANDOUT_HANDOUT_H

#include "broker/pool/channel.h"
#include "broker/pool/listener.h"

/* For listener_init(). */
void handout_init(struct listener *listener);
void handout_finish(struct listener *listener);

/* The worker of this channel listens now, or takes connections again. */
void handout_start(struct listener *listener, struct channel *channel);

/* The only worker has closed its listener or shut it down: the address refuses clients, and queued
 * connections are reset. handout_start() goes on. */
void handout_stop(struct listener *listener);

/* Stops taking connections for good: serves what idle workers can take at once, then the address
 * refuses. */
void handout_shut(struct listener *listener);

/* The rules of front/access.h, or whether workers may take connections past the broker, have
 * changed. 0, or -1 with the errno of memfd_create(2) or mmap(2). */
int handout_enforce(void);

/* --leader has changed. */
void handout_find_leaders(void);

#endif
