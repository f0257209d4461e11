/* bypass.c - see bypass.h. */
#include "broker/life/supervise/bypass.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "broker/base/broker.h"
#include "broker/base/log.h"
#include "broker/base/process/signal.h"
#include "broker/handout/watchdog.h"
#include "broker/life/restart.h"
#include "broker/life/slot.h"
#include "broker/life/stop.h"

bool bypass_is_one_ending(void)
{
    const struct worker *worker;

    LIST_FOREACH(worker, &workers, all)
        if (worker->starts_again && worker->state != WORKER_GONE)
            return true;
    return false;
}

static bool may_switch(void)
{
    return runtime.may_switch && !slot_was_ever_ready();
}

static void end_to_start_again(struct worker *worker)
{
    if (!worker || worker->joined || worker->pid <= 0)
        return;
    worker->starts_again = true;
    /* it may have been forked just now, and lead no process group yet */
    if (signal_group(worker->pid, SIGKILL) < 0)
        worker_signal(worker, SIGKILL);
}

/* A launcher has started a program that bypasses the library: all workers start again, with a
 * filter. */
static void switch_to_seccomp(void)
{
    broker_take_filter();
    watchdog_begin();
    slot_set_failure_status(0);
    for (unsigned i = 0; i < slot_count(); i++) {
        struct slot *slot = slot_at(i);
        slot->failures = 0;
        if (slot->has_ended) /* since another copy had its address */
            slot_respawn_after(slot, 0);
        slot_set_ended(slot, false);
        end_to_start_again(slot->worker);
        end_to_start_again(slot->successor);
    }
    restart_supersede("no worker was ready yet, and all start again by --intercept seccomp");
}

void bypass_on_unfit(struct worker *worker, const struct preload_check_report *report)
{
    const struct check_report *check = &report->check;
    bool switches = may_switch();
    char what[sizeof report->listens_on + 16];

    snprintf(what, sizeof what, "%s%s", report->listens_on[0] ? "listens on " : "runs",
             report->listens_on);
    if (switches) {
        log_info("worker %u (pid %d, %s) %s without the library: %.*s; starting all again by "
                 "--intercept seccomp",
                 worker->slot, (int)report->pid, check->program, what,
                 (int)strcspn(check->reason, ";"), check->reason);
        switch_to_seccomp();
        return;
    }
    log_error("worker %u (pid %d, %s) %s without the library: %s%s%s%s", worker->slot,
              (int)report->pid, check->program, what, check->reason,
              runtime.needs_library ? ", or leave " : "",
              runtime.needs_library ? runtime.needs_library : "",
              runtime.needs_library ? " out, which needs the library" : "");
    worker_signal(worker, SIGKILL);
    if (!slot_was_ever_ready())
        stop_begin(EXIT_NEVER_READY);
}

bool bypass_on_past(struct worker *worker, const struct preload_check_report *report)
{
    const struct check_report *check = &report->check;
    bool switches = may_switch();

    log_info("worker %u (pid %d, %s) listens on %s past the library: %.*s%s", worker->slot,
             (int)report->pid, check->program, report->listens_on,
             switches ? (int)strcspn(check->reason, ";") : (int)strlen(check->reason),
             check->reason, switches ? "; starting all again by --intercept seccomp" : "");
    if (switches)
        switch_to_seccomp();
    return switches;
}
