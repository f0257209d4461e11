/*
 * fleet.c - see fleet.h. Back-off and the reasons for giving up are told at delay_ms() and
 * has_failed().
 */
#include "broker/life/fleet.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/base/broker.h"
#include "broker/base/journal.h"
#include "broker/base/log.h"
#include "broker/diagnose/holders.h"
#include "broker/life/restart.h"
#include "broker/life/spawn.h"
#include "broker/life/start.h"
#include "broker/life/stop.h"

#define RESPAWN_FIRST_MS 100
#define RESPAWN_MAX_MS 30000
#define RESPAWN_SERVED_MAX_MS 400 /* after a crash of a worker that had been of use */
#define PROVEN_MS 30000           /* ready for this long: earlier failures are forgotten */
#define FAILURES_TO_GIVE_UP 3

static struct fleet_slot **slots;
static unsigned slot_count;
static bool ever_ready;
static bool told_ready;

unsigned fleet_slot_count(void)
{
    return slot_count;
}

struct fleet_slot *fleet_slot(unsigned id)
{
    return slots[id];
}

/* --- readiness --- */

static bool all_ready(void)
{
    for (unsigned i = 0; i < broker.config.workers; i++)
        if (!slots[i]->worker || slots[i]->worker->state != WORKER_READY)
            return false;
    return true;
}

static void write_ready_fd(void)
{
    if (runtime.ready_fd < 0)
        return;
    if (write(runtime.ready_fd, "\n", 1) != 1)
        log_error("cannot write to --ready-fd %d: %s; give an fd that is open for writing",
                  runtime.ready_fd, strerror(errno));
    close(runtime.ready_fd);
    runtime.ready_fd = -1;
}

static void tell_ready(void)
{
    told_ready = true;
    if (broker.config.workers > 0)
        log_info("%u of %u workers are ready", broker.config.workers, broker.config.workers);
    write_ready_fd();
}

static void mark_ready(struct worker *worker)
{
    if (worker->state != WORKER_STARTING)
        return;
    worker_set_ready(worker);
    loop_stop_timer(&worker->start_timer);
    log_debug("worker %u (pid %d) is ready", worker->slot, (int)worker->pid);
    ever_ready = true;
    if (slots[worker->slot]->successor == worker)
        restart_on_ready(slots[worker->slot]);
    if (!told_ready && all_ready())
        tell_ready();
}

void fleet_on_listen(struct worker *worker)
{
    mark_ready(worker);
}

void fleet_on_unfit(struct worker *worker)
{
    worker_signal(worker, SIGKILL);
    if (!ever_ready)
        stop_begin(EXIT_NEVER_READY);
}

void fleet_was_ready(void)
{
    ever_ready = true;
}

void fleet_resume_readiness(void)
{
    for (unsigned i = 0; i < slot_count; i++)
        ever_ready |= slots[i]->worker && slots[i]->worker->state == WORKER_READY;
    told_ready = all_ready(); /* the broker before us has said so, but not to who started us */
    if (told_ready)
        write_ready_fd();
}

/* --- the end of a worker --- */

static bool was_of_use(const struct worker *worker)
{
    return worker->state != WORKER_STARTING && worker_accepted(worker) > 0;
}

/*
 * 100 ms doubling to 30 s, plus or minus a quarter; slot->failures does not count this end yet. A
 * worker that served something and crashed comes back within half a second; one that served and
 * ended by itself (socat, nc) comes back at once.
 */
static int64_t delay_ms(const struct fleet_slot *slot, bool served, bool ended_well)
{
    int64_t limit_ms = served ? RESPAWN_SERVED_MAX_MS : RESPAWN_MAX_MS;
    unsigned doublings = slot->failures;
    int64_t delay = (int64_t)RESPAWN_FIRST_MS << (doublings < 10 ? doublings : 10);

    if (served && ended_well)
        return 0;
    if (delay > limit_ms)
        delay = limit_ms;
    return delay * 3 / 4 + random() % (delay / 2 + 1);
}

static void describe_end(const siginfo_t *info, char *text, size_t size)
{
    if (info->si_code == CLD_EXITED)
        snprintf(text, size, "exited with status %d", info->si_status);
    else if (info->si_code == 0)
        snprintf(text, size, "ended");
    else
        snprintf(text, size, "was ended by signal %d (%s)", info->si_status,
                 strsignal(info->si_status));
}

static void report_end(struct fleet_slot *slot, const char *how)
{
    if (slot->reported)
        return;
    slot->reported = slot->failures >= FAILURES_TO_GIVE_UP;
    if (slot->reported)
        log_error("worker %u keeps ending: it %s; it is started again at growing intervals, "
                  "further ends are not "
                  "reported",
                  slot->id, how);
    else
        log_info("worker %u %s; starting it again", slot->id, how);
}

/* Nothing was ever ready and every slot has failed often enough to believe that it never will. */
static bool has_failed(void)
{
    if (ever_ready)
        return false;
    for (unsigned i = 0; i < broker.config.workers; i++)
        if (i >= slot_count || slots[i]->failures < FAILURES_TO_GIVE_UP)
            return false;
    return true;
}

static void report_bind_error(const struct worker *worker)
{
    char text[ADDRESS_TEXT_MAX];
    struct holders holders;
    const char *reason = strerror(worker->bind_error);

    address_format(&worker->bind_address, text);
    if (worker->bind_error == EADDRINUSE && holders_of_address(&worker->bind_address, &holders))
        log_error("cannot bind %s: %s, by %s; end what has it with 'kill %s', or give the server "
                  "another address",
                  text, reason, holders.named, holders.pids);
    else
        log_error("cannot bind %s: %s; free the address or give the server another one", text,
                  reason);
}

static void give_up(const struct worker *worker, const char *how)
{
    if (worker->bind_error) {
        report_bind_error(worker);
        stop_begin(EXIT_ADDRESS);
        return;
    }
    log_error("no worker became ready: '%s' %s every time; run it by itself to see why",
              broker.config.command[0], how);
    stop_begin(EXIT_NEVER_READY);
}

static bool is_exec_failure(const struct worker *worker)
{
    if (!worker->exec_error)
        return false;
    if (worker->exec_error < 0) {
        log_error(
            "cannot read %s as the workers' user: %s; install it where they can, or set SSHIM_LIB",
            broker.library_path, strerror(-worker->exec_error));
        stop_begin(EXIT_NOT_EXECUTABLE);
        return true;
    }
    log_error("cannot run '%s': %s; check the command's name and its execute permission",
              broker.config.command[0], strerror(worker->exec_error));
    stop_begin(worker->exec_error == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE);
    return true;
}

/* End of file: exec has closed the pipe, the program runs. */
static void read_exec_error(struct worker *worker)
{
    struct loop_watch *watch = &worker->exec_watch;
    int error = 0;

    if (watch->fd < 0)
        return;
    if (read(watch->fd, &error, sizeof error) == sizeof error)
        worker->exec_error = error;
    loop_remove(watch);
    close(watch->fd);
    watch->fd = -1;
}

static void on_exec_pipe(struct loop_watch *watch, uint32_t events)
{
    (void)events;
    read_exec_error(loop_container(watch, struct worker, exec_watch));
}

/* The slot is empty now: fill it again, unless there is no hope. */
static void refill(struct fleet_slot *slot, const struct worker *last, const char *how,
                   bool ended_well)
{
    bool of_use = was_of_use(last);
    int64_t ready_for_ms = last->state == WORKER_READY ? loop_now_ms() - last->ready_ms : 0;

    if (ready_for_ms >= PROVEN_MS) {
        slot->failures = 0;
        slot->reported = false;
    }
    int64_t delay = delay_ms(slot, of_use, ended_well);
    if (of_use && ended_well) {
        slot->failures = 0;
    } else {
        slot->failures++;
        report_end(slot, how);
    }
    if (has_failed())
        give_up(last, how);
    else
        loop_start_timer(&slot->respawn, delay);
}

void fleet_on_end(struct worker *worker, const siginfo_t *info)
{
    struct fleet_slot *slot = slots[worker->slot];
    bool ended_well = info->si_code == CLD_EXITED && info->si_status == 0;
    char how[96];

    read_exec_error(worker);
    describe_end(info, how, sizeof how);
    slot->accepted += worker_accepted(worker);
    struct worker last = *worker;
    last.accepted = worker_accepted(worker);
    LIST_INIT(&last.channels);
    bool was_current =
        slot->worker == worker && !worker->joined && slot->id < broker.config.workers;
    bool was_successor = slot->successor == worker;
    if (slot->worker == worker)
        slot->worker = NULL;
    if (was_successor)
        slot->successor = NULL;
    worker_bury(worker);
    if (stop_is_under_way() || (!ever_ready && is_exec_failure(&last)))
        return;
    if (was_successor)
        restart_on_failure(slot, how);
    /* A successor that was started for an empty slot has nobody to serve on in its place. */
    bool leaves_empty = was_successor && !slot->worker && !loop_timer_runs(&slot->respawn);
    if (was_current || leaves_empty)
        refill(slot, &last, how, ended_well);
}

/* --- starting --- */

/* NULL with the errno of fork(2) or pipe2(2). */
static struct worker *start_worker(struct fleet_slot *slot)
{
    struct worker *worker = worker_create(slot->id);
    int error_fd = -1;

    if (!worker)
        return NULL;
    struct spawn_identity identity = {slot->id, worker->token};
    worker_set_pid(worker, spawn_worker(broker.config.command, &identity, &error_fd));
    if (worker->pid < 0) {
        int saved = errno;
        worker_bury(worker);
        errno = saved;
        return NULL;
    }
    worker->exec_watch = (struct loop_watch){error_fd, on_exec_pipe};
    loop_add(&worker->exec_watch, EPOLLIN);
    start_watch(worker);
    return worker;
}

void fleet_fill(struct fleet_slot *slot)
{
    slot->worker = start_worker(slot);
    if (slot->worker)
        return;
    log_error("cannot start worker %u: %s; trying again", slot->id, strerror(errno));
    loop_start_timer(&slot->respawn, delay_ms(slot, false, false));
    slot->failures++;
}

static void on_respawn(struct loop_timer *timer)
{
    struct fleet_slot *slot = loop_container(timer, struct fleet_slot, respawn);

    if (stop_is_under_way())
        return;
    slot->restarts++;
    fleet_fill(slot);
}

int fleet_start_successor(struct fleet_slot *slot)
{
    slot->successor = start_worker(slot);
    if (!slot->successor)
        return -1;
    loop_stop_timer(&slot->respawn);
    return 0;
}

struct fleet_slot *fleet_add_slot(void)
{
    struct fleet_slot **more = realloc(slots, (slot_count + 1) * sizeof(struct fleet_slot *));
    struct fleet_slot *slot = calloc(1, sizeof *slot);

    if (more)
        slots = more;
    if (!more || !slot) {
        free(slot);
        errno = ENOMEM;
        return NULL;
    }
    slot->id = slot_count;
    slot->respawn.on_time = on_respawn;
    slots[slot_count++] = slot;
    return slot;
}

int fleet_init(void)
{
    srandom((unsigned)getpid());
    for (unsigned i = 0; i < broker.config.workers; i++)
        if (!fleet_add_slot())
            return -1;
    for (unsigned i = 0; i < broker.config.workers; i++)
        fleet_fill(slots[i]);
    if (broker.config.workers == 0)
        tell_ready();
    return 0;
}
