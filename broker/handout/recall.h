/*
 * recall.h - watches offers until they are taken. An offer that is not taken in time becomes
 * recallable: take.h receives it back as soon as another worker is idle.
 */
#ifndef SSHIM_BROKER_HANDOUT_RECALL_H
#define SSHIM_BROKER_HANDOUT_RECALL_H

#include "broker/pool/channel.h"
#include "broker/pool/listener.h"

struct worker;

/* An offer was sent on this channel: watch it. */
void recall_expect(struct channel *channel, int64_t now_ms);

/* The untaken offers of this worker (stopped or stuck) should go to others; the worker may come
 * back. */
void recall_all_of(struct worker *worker);

/* The listener begins; it ends. */
void recall_init(struct listener *listener);
void recall_finish(struct listener *listener);

#endif
