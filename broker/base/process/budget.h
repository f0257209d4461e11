/*
 * budget.h - how much of the broker's time what one worker sends may take: a twentieth, and what it
 * has not used of that, up to a burst. What it sends beyond waits where it is, in its socket, so
 * others are served meanwhile. One thread.
 */
#ifndef SSHIM_BROKER_BASE_PROCESS_BUDGET_H
#define SSHIM_BROKER_BASE_PROCESS_BUDGET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "broker/base/loop.h"

/* Embedded in whoever sends. Written by budget.c, but for burst_us, and debt_us at first. */
struct budget {
    int64_t burst_us;
    int64_t debt_us; /* what was used, beyond its share; below 0: what it has once, besides */
    int64_t paid_ms; /* when that was reckoned */
    struct loop_timer timer;
    TAILQ_HEAD(, budget_waiter) waiting;
};

/* Embedded in what is read from; zero-initialised = it does not wait. */
struct budget_waiter {
    struct budget *budget; /* NULL: it does not wait */
    struct loop_fd *watch;
    TAILQ_ENTRY(budget_waiter) all;
};

void budget_init(struct budget *budget);

/* What waits is watched again. */
void budget_finish(struct budget *budget);

bool budget_is_spent(struct budget *budget);

/* Does not watch for EPOLLIN again before something is left. Errors are still reported: then leave,
 * and read what there is. */
void budget_wait(struct budget *budget, struct budget_waiter *waiter, struct loop_fd *watch);

/* Before the watch is removed. It may not wait. */
void budget_leave(struct budget_waiter *waiter);

/* Around what is done for a worker (NULL: nobody's), which may free it. What is done in between for
 * another one, the outer one pays. */
void budget_begin(struct budget *budget);
void budget_end(int64_t used_us);

#endif
