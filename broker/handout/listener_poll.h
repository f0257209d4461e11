/*
 * listener_poll.h - whether the loop tells when a connection is there, and in which order the
 * kernel asks us and the workers that attend (shim/take/wait_exclusive.h). Who gets it is
 * dispatch.h's business.
 */
#ifndef SSHIM_BROKER_HANDOUT_WATCH_H
#define SSHIM_BROKER_HANDOUT_WATCH_H

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

/* Connections come: looks at their rate from now on until they come slowly again. While they come
 * fast idle event loops may attend. */
void listener_poll_expect(struct listener *listener);

/* This channel gets an offer while we are behind those that attend: had it begun to attend we would
 * not have been asked first. */
void listener_poll_note_attends(struct listener *listener, struct channel *channel);

#endif
