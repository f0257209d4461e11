/*
 * rate.h - whether the broker preempts running workers.
 *
 * Normally it does (SCHED_OTHER): a connection reaches an idle worker at once. While hundreds of
 * connections a second had to wait until a worker came back for them, there is no core to spare,
 * and each interruption by the broker costs more than it gives: then it waits until a core is free
 * (scheduling.h), and what has gathered is taken directly or given out in one go. Then, and only
 * then, workers without a connection look into the backlog on their own: at a low rate the broker
 * spreads evenly. While connections end as fast as they come (a churn), one connection more on a
 * worker matters little: then workers with at most the average number of open connections (the
 * allowance) may take too. Else an event loop that is slow to close would ask the broker each time.
 */
#ifndef SSHIM_BROKER_HANDOUT_CANONICAL_RATE_H
#define SSHIM_BROKER_HANDOUT_CANONICAL_RATE_H

#include <stdbool.h>

#include "broker/pool/listener.h"

/* Once the configuration is known. resumes: see scheduling_init(). */
void rate_init(bool resumes);

#define RATE_PERIOD_MS 100

/*
 * Looks at the rate of direct taking and of wake-ups, at most once in RATE_PERIOD_MS. True:
 * connections come so fast that event loops may wait exclusively on the canonical socket
 * (shim/take/wait_exclusive.h). listener_poll.c calls it while connections come.
 *
 * Notes in rate.favours whether they come fast to workers that wait for them: then pick.c gives
 * them to the same few, whose caches are hot; else ties rotate.
 */
bool rate_review(struct listener *listener);

/* Whether the next reviews can be left out until connections come again. */
bool rate_is_low(const struct listener *listener);

/* Whether workers may take from the backlog by themselves: nothing asks that the broker sees each
 * connection. */
bool rate_permits_direct(const struct listener *listener);

/* --conn-log: whether this worker notes the connections that it takes past us. It can, and the
 * kernel can be asked for them: TCP of our own network. */
bool rate_is_noted(const struct channel *channel);

/* Whether we would not hear of a connection that it takes past us, and have to. */
bool rate_is_unseen(const struct channel *channel);

/* Publishes whether a worker may look into the backlog itself (BOARD_LOOK) or wait exclusively
 * (BOARD_WAIT_EXCLUSIVE), and with how many connections it may take directly, or none
 * (BOARD_THROUGH). */
void rate_publish(const struct listener *listener, struct channel *channel);
void rate_publish_all(const struct listener *listener);

/* The listener is no more. */
void rate_forget(struct listener *listener);

#endif
