/* budget.c - see budget.h. */
#include "broker/base/process/budget.h"

#include <stddef.h>

#define SHARE 20 /* of our time, one part */

static struct budget *payer; /* of what is being done */
static unsigned depth;

static void reckon(struct budget *budget)
{
    int64_t now_ms = loop_now_ms();
    int64_t left_us = budget->debt_us - (now_ms - budget->paid_ms) * 1000 / SHARE;

    budget->debt_us = left_us > 0 ? left_us : 0;
    budget->paid_ms = now_ms;
}

bool budget_is_spent(struct budget *budget)
{
    if (budget->debt_us >= budget->burst_us) /* mostly not: no time is reckoned then */
        reckon(budget);
    return budget->debt_us >= budget->burst_us;
}

static void watch_again(struct budget *budget)
{
    struct budget_waiter *waiter;

    while ((waiter = TAILQ_FIRST(&budget->waiting)) != NULL) {
        budget_leave(waiter);
        loop_modify(waiter->watch, EPOLLIN);
    }
}

static void on_time(struct loop_timer *timer)
{
    watch_again(loop_container(timer, struct budget, timer));
}

void budget_init(struct budget *budget)
{
    *budget = (struct budget){.timer.on_time = on_time, .paid_ms = loop_now_ms()};
    TAILQ_INIT(&budget->waiting);
}

void budget_finish(struct budget *budget)
{
    if (payer == budget)
        payer = NULL;
    loop_stop_timer(&budget->timer);
    watch_again(budget);
}

void budget_wait(struct budget *budget, struct budget_waiter *waiter, struct loop_fd *watch)
{
    int64_t beyond_us = budget->debt_us - budget->burst_us;

    budget_leave(waiter);
    *waiter = (struct budget_waiter){.budget = budget, .watch = watch};
    TAILQ_INSERT_TAIL(&budget->waiting, waiter, all);
    loop_modify(watch, 0);
    loop_ensure_timer(&budget->timer, beyond_us * SHARE / 1000 + 1);
}

void budget_leave(struct budget_waiter *waiter)
{
    if (!waiter->budget)
        return;
    TAILQ_REMOVE(&waiter->budget->waiting, waiter, all);
    waiter->budget = NULL;
}

void budget_begin(struct budget *budget)
{
    if (depth++ == 0)
        payer = budget;
}

void budget_end(int64_t used_us)
{
    if (--depth > 0)
        return;
    if (payer)
        payer->debt_us += used_us;
    payer = NULL;
}
