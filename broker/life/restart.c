/* restart.c - see restart.h. */
#include "broker/life/restart.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/base/broker.h"
#include "broker/base/log.h"
#include "broker/life/drain.h"
#include "broker/life/stop.h"

static struct {
    bool active;
    bool aborted;
    unsigned parallel;
    unsigned next_slot;
    unsigned running; /* successors that are not ready yet */
    unsigned done;
    char reason[160];
    struct session *waiter;
} restart;

static void on_waiter_gone(struct session *session)
{
    (void)session;
    restart.waiter = NULL;
}

static void answer_waiter(const char *text, int exit_code)
{
    struct session *waiter = restart.waiter;
    char *copy = waiter ? strdup(text) : NULL;

    restart.waiter = NULL;
    if (!waiter)
        return;
    waiter->on_close = NULL;
    if (copy)
        session_send_text(waiter, copy, strlen(copy), exit_code);
    else
        session_close(waiter);
}

static void finish(void)
{
    char text[256];

    restart.active = false;
    if (restart.aborted) {
        snprintf(text, sizeof text, "restart aborted: %s; the old workers serve on\n",
                 restart.reason);
        log_error("%.*s", (int)strlen(text) - 1, text);
        answer_waiter(text, 1);
        return;
    }
    snprintf(text, sizeof text, "%u of %u workers were replaced\n", restart.done,
             broker.config.workers);
    log_info("%.*s", (int)strlen(text) - 1, text);
    answer_waiter(text, EXIT_STOPPED);
}

static void abort_with(const char *reason)
{
    if (!restart.aborted)
        snprintf(restart.reason, sizeof restart.reason, "%s", reason);
    restart.aborted = true;
}

static void step(void)
{
    while (!restart.aborted && restart.running < restart.parallel &&
           restart.next_slot < broker.config.workers) {
        if (fleet_start_successor(fleet_slot(restart.next_slot++)) < 0)
            abort_with(strerror(errno));
        else
            restart.running++;
    }
    if (restart.running == 0 && restart.active)
        finish();
}

bool restart_begin(unsigned parallel, struct session *waiter)
{
    if (restart.active || stop_is_under_way())
        return false;
    memset(&restart, 0, sizeof restart);
    restart.active = true;
    restart.parallel = parallel ? parallel : 1;
    restart.waiter = waiter;
    if (waiter) {
        waiter->on_close = on_waiter_gone;
        loop_stop_timer(&waiter->deadline);
    }
    log_info("replacing %u workers, %u at a time", broker.config.workers, restart.parallel);
    step();
    return true;
}

void restart_on_ready(struct fleet_slot *slot)
{
    struct worker *old = slot->worker;

    slot->worker = slot->successor;
    slot->successor = NULL;
    slot->restarts++;
    slot->failures = 0;
    if (old)
        drain_begin(old);
    restart.running--;
    restart.done++;
    step();
}

void restart_on_failure(struct fleet_slot *slot, const char *how)
{
    char reason[160];

    snprintf(reason, sizeof reason, "the new copy for slot %u %s before it was ready", slot->id,
             how);
    abort_with(reason);
    restart.running--;
    step();
}
