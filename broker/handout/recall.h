/*
 * recall.h - looks after offers until they are taken. What a worker does not take in time is
 * stranded: take.h receives it back as soon as somebody else is idle.
 */
#ifndef SSHIM_BROKER_HANDOUT_RECALL_H
#define SSHIM_BROKER_HANDOUT_RECALL_H

#include "broker/pool/channel.h"
#include "broker/pool/listener.h"

struct worker;

/* An offer was sent on this channel: look after it. */
void recall_expect(struct channel *channel, int64_t now_ms);

/* What this worker has not taken should go to others, though it may come back (a stopped or stuck
 * worker). */
void recall_all_of(struct worker *worker);

/* The listener begins; it ends. */
void recall_init(struct listener *listener);
void recall_finish(struct listener *listener);

#endif
