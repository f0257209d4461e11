/*
 * fleet.c - see fleet.h. delay_ms() has the back-off, has_failed() the reasons for giving up.
 */
#include "broker/life/supervise/fleet.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/base/broker.h"
#include "broker/base/log.h"
#include "broker/diagnose/ending.h"
#include "broker/diagnose/failure.h"
#include "broker/life/begin/announce.h"
#include "broker/life/launch/surroundings.h"
#include "broker/life/supervise/bypass.h"
#include "broker/life/restart.h"
#include "broker/life/restart/waiters.h"
#include "broker/life/slot.h"
#include "broker/life/begin/readiness.h"
#include "broker/life/begin/uring.h"
#include "broker/life/begin/start.h"
#include "broker/life/stop.h"
#include "broker/pool/listener.h"

#define RESPAWN_FIRST_MS 100
#define RESPAWN_MAX_MS 30000
#define RESPAWN_SERVED_MAX_MS 400 /* after a crash of a worker that had served */
#define PROVEN_MS 30000           /* ready for this long: earlier failures are forgotten */
#define OF_USE_MS 200             /* a worker that listens for this long counts as serving */

static bool told_ready;
static void (*tell_leave)(const struct worker *worker);

/* --- readiness --- */

static void tell_ready(void)
{
    told_ready = true;
    announce_ready(slot_count_ready());
}

unsigned fleet_ready_min(void)
{
    unsigned wanted = broker.config.ready_min;

    return wanted > 0 && wanted < runtime.workers ? wanted : runtime.workers;
}

static void on_ready(struct slot *slot)
{
    (void)slot;
    if (!told_ready && slot_count_ready() >= fleet_ready_min())
        tell_ready();
}

bool fleet_was_ready(void)
{
    return told_ready;
}

/* A successor counts when restart.c says so. */
static void on_reached(struct worker *worker)
{
    struct slot *slot = slot_at(worker->slot);

    if (slot->successor != worker)
        slot_mark_ready(slot, worker);
    if (worker->state == WORKER_READY && !worker->joined)
        uring_watch(worker);
}

void fleet_on_listen(struct worker *worker)
{
    if (worker->state == WORKER_STARTING && readiness_on_listen(worker))
        on_reached(worker);
    else if (worker->state == WORKER_READY && !worker->joined)
        uring_watch(worker);
}

static void on_respawn(struct loop_timer *timer)
{
    struct slot *slot = loop_container(timer, struct slot, respawn);

    if (stop_is_under_way())
        return;
    if (bypass_is_one_ending()) {
        loop_start_timer(timer, RESPAWN_FIRST_MS);
        return;
    }
    slot->restarts++;
    fleet_fill(slot);
}

/* The library is loaded, but has asked to share no address. */
static void on_time_over(struct worker *worker, const char *private_address)
{
    struct slot *slot = slot_at(worker->slot);
    unsigned timeout_s = broker.config.start_timeout_s;

    if (slot->successor == worker)
        return; /* restart.c looks at the time */
    if (!readiness_is_reached(worker)) {
        log_error("worker %u (pid %d) %s after %u s; it counts as not ready until then",
                  worker->slot, (int)worker->pid, readiness_describe(), timeout_s);
        return;
    }
    if (private_address[0])
        log_info("worker %u listens on nothing that is shared after %u s, only on %s, which is "
                 "private to it; see --share",
                 worker->slot, timeout_s, private_address);
    else
        log_info("worker %u listens on nothing that is shared after %u s: it has no listening "
                 "stream socket at all",
                 worker->slot, timeout_s);
    slot_mark_ready(slot, worker);
}

void fleet_set_up(void (*on_leave)(const struct worker *worker))
{
    tell_leave = on_leave;
    slot_init(on_ready, on_respawn);
    readiness_init(on_reached);
    start_init(&(struct start_events){bypass_on_unfit, bypass_on_past, on_time_over});
}

void fleet_resume_readiness(void)
{
    if (slot_count_ready() > 0)
        slot_note_ever_ready();
    told_ready = slot_count_ready() >= fleet_ready_min(); /* the last broker told its own parent */
    if (told_ready)
        announce_ready_fd();
}

/* --- the end of a worker --- */

/* The accepts of a worker with a filter are not seen. */
static bool was_of_use(const struct worker *worker)
{
    if (worker_is_notified(worker))
        return worker->state == WORKER_READY && loop_now_ms() - worker->ready_ms >= OF_USE_MS;
    return worker_accepted(worker) > 0;
}

/*
 * 100 ms doubling to 30 s, plus or minus a quarter; slot->failures does not count this end yet. At
 * the first end of one that was ready nothing says that the program is broken: no delay. A worker
 * that served something and crashed comes back within half a second; one that served and ended by
 * itself (socat, nc) comes back at once.
 */
static int64_t delay_ms(const struct slot *slot, bool was_ready, bool served, bool ended_well)
{
    int64_t limit_ms = served ? RESPAWN_SERVED_MAX_MS : RESPAWN_MAX_MS;
    unsigned doublings = slot->failures;
    int64_t delay = (int64_t)RESPAWN_FIRST_MS << (doublings < 10 ? doublings : 10);

    if ((served && ended_well) || (was_ready && slot->failures == 0))
        return 0;
    if (delay > limit_ms)
        delay = limit_ms;
    return delay * 3 / 4 + random() % (delay / 2 + 1);
}

static void describe_launch(const struct worker *worker, char *text, size_t size)
{
    int used = snprintf(text, size, "could not be started: ");

    launch_describe(&worker->failure, worker->slot, text + used, size - (size_t)used);
}

static void report_end(struct slot *slot, const struct ending *ending)
{
    bool is_news = !slot->reported;

    slot->reported = slot->reported || slot->failures >= FLEET_FAILURES_MAX;
    ending_tell(ending, slot->reported ? LOG_LEVEL_VERBOSE : LOG_LEVEL_NORMAL,
                "; starting it again");
    if (is_news && slot->reported)
        log_event(LOG_LEVEL_QUIET, LOG_CRASH_LOOP,
                  LOG_FACTS(LOG_NUMBER("worker", slot->id), LOG_NUMBER("failures", slot->failures)),
                  "worker %u keeps failing: it %s; restarting it with back-off, further failures "
                  "are not logged",
                  slot->id, ending->how);
}

/* No worker was ever ready, and every slot has failed FLEET_FAILURES_MAX times. */
static bool has_failed(void)
{
    if (slot_was_ever_ready())
        return false;
    for (unsigned i = 0; i < runtime.workers; i++)
        if (i >= slot_count() || slot_at(i)->failures < FLEET_FAILURES_MAX)
            return false;
    return true;
}

static void give_up(const struct worker *worker, const char *how)
{
    if (worker->bind_error) {
        failure_tell_bind(&worker->bind_address, worker->bind_error);
        stop_begin(EXIT_ADDRESS);
        return;
    }
    log_error("no worker became ready: '%s' %s every time; run it by itself to see why",
              broker.config.command[0], how);
    stop_begin(EXIT_NEVER_READY);
}

/* A server that serves one connection and ends well, as socat does, has not failed. */
static void tell_restart(struct slot *slot, const struct worker *last, const char *how,
                         bool ended_well)
{
    if (ended_well && was_of_use(last))
        restart_on_served(slot, last);
    else
        restart_on_failure(last, how);
}

/* The slot is empty now: fill it again, unless we give up. */
static void refill(struct slot *slot, const struct worker *last, const struct ending *ending,
                   bool ended_well)
{
    bool of_use = was_of_use(last);
    int64_t ready_for_ms = last->state == WORKER_READY ? loop_now_ms() - last->ready_ms : 0;

    if (ready_for_ms >= PROVEN_MS) {
        slot->failures = 0;
        slot->reported = false;
    }
    int64_t delay = delay_ms(slot, last->state == WORKER_READY, of_use, ended_well);
    if (of_use && ended_well) {
        slot->failures = 0;
        ending_tell(ending, LOG_LEVEL_VERBOSE, "; starting it again");
    } else {
        slot->failures++;
        report_end(slot, ending);
    }
    if (runtime.may_switch && !slot_was_ever_ready())
        start_hurry();
    if (has_failed())
        give_up(last, ending->how);
    else
        slot_respawn_after(slot, delay);
}

/* A worker that we have ended has not ended by itself. */
static bool stays_empty(const struct worker *last)
{
    return broker.config.once && last->asked_end == WORKER_END_EXIT && !last->starts_again;
}

static void leave_empty(struct slot *slot, const struct worker *last, const struct ending *ending,
                        const siginfo_t *info)
{
    bool ended_well = info->si_code == CLD_EXITED && info->si_status == 0;

    if (last->bind_error && !last->ready_ms)
        failure_tell_bind(&last->bind_address, last->bind_error);
    slot_set_ended(slot, true);
    slot_note_status(info);
    ending_tell(ending, ended_well ? LOG_LEVEL_VERBOSE : LOG_LEVEL_NORMAL,
                "; it is not replaced (--once)");
}

void fleet_end_if_empty(void)
{
    const struct worker *worker;

    if (stop_is_under_way() || !slot_all_ended())
        return;
    LIST_FOREACH(worker, &workers, all)
        if (worker->state != WORKER_GONE && !worker->joined)
            return; /* it drains */
    log_info("all workers have ended; exiting with %d, %s", slot_failure_status(),
             slot_failure_status() ? "the status of the first that failed" : "as none has failed");
    stop_begin(EXIT_STOPPED);
}

/* The worker leaves its slot and is freed; *last is what is still to be known of it. */
static void take_leave(struct worker *worker, struct worker *last)
{
    struct slot *slot = slot_at(worker->slot);

    slot->accepted += worker_accepted(worker);
    *last = *worker;
    last->accepted = worker_accepted(worker);
    LIST_INIT(&last->channels);
    waiters_on_old_end(worker);
    if (tell_leave)
        tell_leave(worker);
    if (slot->worker == worker)
        slot->worker = NULL;
    if (slot->successor == worker)
        slot->successor = NULL;
    worker_bury(worker);
}

void fleet_on_end(struct worker *worker, const siginfo_t *info)
{
    struct slot *slot = slot_at(worker->slot);
    bool ended_well = info->si_code == CLD_EXITED && info->si_status == 0;
    bool was_current = slot->worker == worker && !worker->joined && slot->id < runtime.workers;
    bool was_successor = slot->successor == worker;
    struct worker last;
    struct ending ending;
    char how[sizeof ending.how];

    slot_read_exec_error(worker);
    if (worker->failure.error)
        describe_launch(worker, how, sizeof how);
    ending_note(&ending, worker, info, slot_note_end(slot, worker, info),
                worker->failure.error ? how : NULL);
    if (info->si_code == CLD_KILLED || info->si_code == CLD_DUMPED)
        failure_tell_signal(worker->slot, info->si_status);
    take_leave(worker, &last);
    bool gives_up = last.failure.error && !slot_was_ever_ready();
    if (stop_is_under_way() || gives_up) {
        ending_tell(&ending, LOG_LEVEL_VERBOSE, "");
        if (gives_up && !stop_is_under_way())
            stop_begin(launch_tell_failure(&last)); /* the next try could not either */
        return;
    }
    if (was_current || was_successor)
        tell_restart(slot, &last, ending.how, ended_well);
    /* Where the other one of the two is still there it fills the slot. */
    bool leaves_empty = !slot->worker && !slot->successor && !loop_timer_runs(&slot->respawn);
    if (!(was_current || was_successor) || !leaves_empty)
        ending_tell(&ending, LOG_LEVEL_VERBOSE, "");
    else if (stays_empty(&last))
        leave_empty(slot, &last, &ending, info);
    else
        refill(slot, &last, &ending, ended_well);
    fleet_end_if_empty();
}

/* --- starting --- */

/* The limit stays as it is, whatever else ends. */
static void give_up_for_files(void)
{
    struct rlimit limit = {0};

    getrlimit(RLIMIT_NOFILE, &limit);
    log_error("no worker can be started: the broker may have no more than %llu files open; raise "
              "the limit (ulimit -n)",
              (unsigned long long)limit.rlim_cur);
    stop_begin(EXIT_NEVER_READY);
}

void fleet_fill(struct slot *slot)
{
    slot->worker = slot_start_worker(slot);
    if (slot->worker)
        return;
    bool lacks_files = errno == EMFILE;
    if (slot->failures < FLEET_FAILURES_MAX)
        log_error("cannot start worker %u: %s; trying again%s", slot->id, strerror(errno),
                  lacks_files ? "; raise the limit of open files (ulimit -n)" : "");
    slot_respawn_after(slot, delay_ms(slot, false, false, false));
    slot->failures++;
    if (lacks_files && has_failed())
        give_up_for_files();
}

int fleet_init(void)
{
    srandom((unsigned)getpid());
    for (unsigned i = 0; i < runtime.workers; i++)
        if (!slot_add())
            return -1;
    for (unsigned i = 0; i < runtime.workers; i++)
        fleet_fill(slot_at(i));
    if (runtime.workers == 0)
        tell_ready();
    return 0;
}
