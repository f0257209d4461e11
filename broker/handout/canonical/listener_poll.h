/*
 * listener_poll.h - whether the loop watches the canonical socket, and in which order the kernel
 * wakes us and the workers in an exclusive wait (shim/take/wait_exclusive.h). dispatch.h decides
 * who gets a connection.
 */
#ifndef SSHIM_BROKER_HANDOUT_CANONICAL_LISTENER_POLL_H
#define SSHIM_BROKER_HANDOUT_CANONICAL_LISTENER_POLL_H

#include <stdbool.h>

#include "broker/pool/channel.h"
#include "broker/pool/listener.h"

/* Before any other. on_ready: a connection is there. */
void listener_poll_init(struct listener *listener,
                        void (*on_ready)(struct loop_fd *watch, uint32_t events));

/* Watches the canonical socket, or not for now; idempotent. */
void listener_poll_arm(struct listener *listener, bool on);

/* The loop forgets it: before it is closed or shut down. */
void listener_poll_end(struct listener *listener);

/* The listener ends. */
void listener_poll_finish(struct listener *listener);

/* Connections come: reviews their rate until they come slowly again. While they come fast, idle
 * event loops may wait exclusively. */
void listener_poll_expect(struct listener *listener);

/* Whether workers may take connections past the broker has changed. */
void listener_poll_reread(struct listener *listener);

/* This channel gets an offer from us. If its worker has begun an exclusive wait since the last one,
 * that wait is registered behind ours: registers ours again, behind it. */
void listener_poll_note_exclusive(struct listener *listener, struct channel *channel);

#endif
