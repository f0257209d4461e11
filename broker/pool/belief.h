/*
 * belief.h - whether the broker believes a worker's scoreboard, and what its silence means. Only
 * belief_observe() and the functions that report an event change anything; a question
 * (belief_is_...) never does, so that `sshim status` may ask at any time.
 */
#ifndef SSHIM_BROKER_POOL_BELIEF_H
#define SSHIM_BROKER_POOL_BELIEF_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/pool/channel.h"

/* Reads the worker's counters once: clears a suspicion that they disprove, and publishes whether
 * the worker waits invisibly. Call it before the worker is considered for a connection. */
struct channel_reading belief_observe(struct channel *channel);

/* Whether an offer would be accepted at once, as far as can be known from this reading. */
bool belief_is_idle(const struct channel *channel, const struct channel_reading *reading,
                    int64_t now_ms);

/* Whether it is still suspect, given what it did since the last look. */
bool belief_is_overdue(const struct channel *channel, const struct channel_reading *reading);

/* For status: a suspect that may be tried again, but does not say that it waits, is not idle. */
bool belief_is_busy(const struct channel *channel, int64_t now_ms);

/* The worker says that it waits, over and over, and accepts nothing: it gets an offer only now and
 * then. */
bool belief_is_unresponsive(const struct channel *channel);

/* A probe is sent although the worker seems busy; later: it was accepted without a visible wait. */
void belief_begin_probe(struct channel *channel);
bool belief_end_probe(struct channel *channel);

/* The worker did not accept in time: it becomes suspect, for longer each time. */
void belief_note_overdue(struct channel *channel, int64_t now_ms, unsigned accept_timeout_ms);

/* What another broker knew of this worker. */
void belief_restore(struct channel *channel, bool wait_invisible);

#endif
