/*
 * queue.h - connections wait in the kernel's queue and no worker is idle, or the system is short of
 * something. The scoreboards say so, and a timer looks again: dispatch.c does what is due then.
 * While queue.pause runs nothing is taken; listener_pump() is called when it is over.
 */
#ifndef SSHIM_BROKER_HANDOUT_QUEUE_H
#define SSHIM_BROKER_HANDOUT_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/pool/listener.h"

/* The listener begins; it ends. on_tick: connections wait, and it is time to look again. */
void queue_init(struct listener *listener, void (*on_tick)(struct loop_timer *tick));
void queue_finish(struct listener *listener);

/* No worker is idle. Sets `queue_waits` in all scoreboards: a worker that goes idle from now on
 * wakes us, so look once more after this. Idempotent. */
void queue_begin(struct listener *listener);

/* What it publishes may be another now: publishes it with the next queue_begin(). */
void queue_reread(struct listener *listener);

/* No connection waits any more: watches the canonical socket again. Idempotent. */
void queue_end(struct listener *listener);

/* The kernel has refused to accept, or to pass on, a connection (what: the verb) with this errno:
 * nothing is taken for 20 ms. Logs it at most once a minute. */
void queue_pause(struct listener *listener, const char *what, int error);

/* accept4(2) slept: nothing is taken, for longer each time, so that a worker that makes us sleep
 * here does not take our time from other listeners. */
void queue_rest(struct listener *listener);

/* Looks again in at most this time. */
void queue_look_within(struct listener *listener, int64_t delay_ms);

/* What the workers have accepted in all; on a tick: whether that has changed since the last one. */
uint64_t queue_progress(const struct listener *listener);
bool queue_has_moved(const struct listener *listener, uint64_t progress);

/* Ends a tick: the next one comes after --accept-timeout if the pool has moved, else later and
 * later, but within 100 ms. */
void queue_look_again(struct listener *listener, uint64_t progress);

#endif
