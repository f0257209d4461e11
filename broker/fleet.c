/* fleet.c - see fleet.h. Back-off and the reasons for giving up are told at delay_ms() and
 * has_failed(). */
#include "fleet.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker.h"
#include "dispatch.h"
#include "listener.h"
#include "procfs.h"
#include "recall.h"
#include "spawn.h"

#define RESPAWN_FIRST_MS 100
#define RESPAWN_MAX_MS 30000
#define RESPAWN_SERVED_MAX_MS 400 /* after a crash of a worker that had been of use */
#define PROVEN_MS 30000           /* ready for this long: earlier failures are forgotten */
#define FAILURES_TO_GIVE_UP 3
#define REAP_MS 50 /* between looks for what is left while stopping */

static struct fleet_slot **slots;
static unsigned slot_count;
static bool ever_ready;
static bool told_ready;
static bool stopping;
static bool killing;
static int exit_code;
static struct loop_timer grace_timer;
static struct loop_timer leftover_timer;

static void start_worker(struct fleet_slot *slot);

unsigned fleet_slot_count(void)
{
    return slot_count;
}

struct fleet_slot *fleet_slot(unsigned id)
{
    return slots[id];
}

bool fleet_is_stopping(void)
{
    return stopping;
}

int fleet_exit_code(void)
{
    return exit_code;
}

/* --- readiness --- */

static bool all_ready(void)
{
    for (unsigned i = 0; i < broker.config.workers; i++)
        if (!slots[i]->worker || slots[i]->worker->state != WORKER_READY)
            return false;
    return true;
}

static void mark_ready(struct worker *worker)
{
    if (worker->state != WORKER_STARTING)
        return;
    worker->state = WORKER_READY;
    worker->ready_ms = loop_now_ms();
    loop_stop_timer(&worker->start_timer);
    log_debug("worker %u (pid %d) is ready", worker->slot, (int)worker->pid);
    ever_ready = true;
    if (told_ready || !all_ready())
        return;
    told_ready = true;
    log_info("%u of %u workers are ready", broker.config.workers, broker.config.workers);
    if (broker.config.ready_fd >= 0) {
        if (write(broker.config.ready_fd, "\n", 1) != 1)
            log_error("cannot write to --ready-fd %d: %s; give an fd that is open for writing",
                      broker.config.ready_fd, strerror(errno));
        close(broker.config.ready_fd);
        broker.config.ready_fd = -1;
    }
}

void fleet_on_listen(struct worker *worker)
{
    mark_ready(worker);
}

static void signal_worker(const struct worker *worker, int number)
{
    if (worker->pid > 0)
        kill(worker->pid, number);
}

static void on_start_timeout(struct loop_timer *timer)
{
    struct worker *worker = loop_container(timer, struct worker, start_timer);

    if (procfs_maps(worker->pid, "libsshim")) {
        log_info("worker %u listens on nothing that is shared after %u s; what it listens on is "
                 "private to it (see "
                 "--share)",
                 worker->slot, broker.config.start_timeout_s);
        mark_ready(worker);
        return;
    }
    log_error("worker %u runs without %s: the loader did not preload it; '%s' may be statically "
              "linked, setuid, of "
              "another libc, or clear its environment",
              worker->slot, broker.library_path, broker.config.command[0]);
    signal_worker(worker, SIGKILL);
}

/* --- the end of a worker --- */

static bool was_of_use(const struct worker *worker)
{
    return worker->state != WORKER_STARTING && worker_accepted(worker) > 0;
}

/*
 * 100 ms doubling to 30 s, plus or minus a quarter. A worker that served something and crashed
 * comes back within half a second; one that served and ended by itself (socat, nc) comes back at
 * once.
 */
static int64_t delay_ms(const struct fleet_slot *slot, const struct worker *worker, bool ended_well)
{
    bool served = was_of_use(worker);
    int64_t limit_ms = served ? RESPAWN_SERVED_MAX_MS : RESPAWN_MAX_MS;
    unsigned doublings = slot->failures > 0 ? slot->failures - 1 : 0;
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
        if (slots[i]->failures < FAILURES_TO_GIVE_UP)
            return false;
    return true;
}

static void give_up(const struct worker *worker, const char *how)
{
    char text[ADDRESS_TEXT_MAX];

    if (worker->bind_error) {
        log_error("cannot bind %s: %s; free the address or give the server another one",
                  address_format(&worker->bind_address, text), strerror(worker->bind_error));
        fleet_stop(EXIT_ADDRESS);
        return;
    }
    log_error("no worker became ready: '%s' %s every time; run it by itself to see why",
              broker.config.command[0], how);
    fleet_stop(EXIT_NEVER_READY);
}

static bool is_exec_failure(const struct worker *worker)
{
    if (!worker->exec_error)
        return false;
    log_error("cannot run '%s': %s; check the command's name and its execute permission",
              broker.config.command[0], strerror(worker->exec_error));
    fleet_stop(worker->exec_error == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE);
    return true;
}

static void on_worker_end(struct worker *worker, const siginfo_t *info)
{
    struct fleet_slot *slot = slots[worker->slot];
    bool ended_well = info->si_code == CLD_EXITED && info->si_status == 0;
    int64_t ready_for_ms = worker->state == WORKER_READY ? loop_now_ms() - worker->ready_ms : 0;
    struct worker last = *worker;
    char how[96];

    describe_end(info, how, sizeof how);
    if (slot->worker == worker)
        slot->worker = NULL;
    slot->accepted += worker_accepted(worker);
    int64_t delay = delay_ms(slot, worker, ended_well);
    bool of_use = was_of_use(worker);
    worker_bury(worker);
    if (stopping || (!ever_ready && is_exec_failure(&last)))
        return;
    if (ready_for_ms >= PROVEN_MS) {
        slot->failures = 0;
        slot->reported = false;
    }
    if (of_use && ended_well) {
        slot->failures = 0;
    } else {
        slot->failures++;
        report_end(slot, how);
    }
    if (has_failed())
        give_up(&last, how);
    else
        loop_start_timer(&slot->respawn, delay);
}

/* --- children --- */

#define TOKEN_TEXT_SIZE (2 * WIRE_TOKEN_SIZE + 1)

static void format_token(const struct worker *worker, char text[TOKEN_TEXT_SIZE])
{
    for (int i = 0; i < WIRE_TOKEN_SIZE; i++)
        sprintf(text + 2 * i, "%02x", worker->token[i]);
}

struct heir_search {
    char token[TOKEN_TEXT_SIZE];
    pid_t found;
};

static void visit_heir(pid_t pid, void *context)
{
    struct heir_search *search = context;
    char token[TOKEN_TEXT_SIZE];

    if (!search->found && !worker_find_by_pid(pid) &&
        procfs_get_environment(pid, "SSHIM_TOKEN", token, sizeof token) &&
        strcmp(token, search->token) == 0)
        search->found = pid;
}

/* A process of this worker that has outlived its parent and was given to us
 * (PR_SET_CHILD_SUBREAPER), or 0. */
static pid_t find_heir(const struct worker *worker)
{
    struct heir_search search = {.found = 0};

    format_token(worker, search.token);
    procfs_each_child(getpid(), visit_heir, &search);
    return search.found;
}

/* Whether a process was started for a worker that is no more. */
static bool is_leftover(pid_t pid)
{
    char token[TOKEN_TEXT_SIZE];
    char living[TOKEN_TEXT_SIZE];
    struct worker *worker;

    if (worker_find_by_pid(pid) || !procfs_get_environment(pid, "SSHIM_TOKEN", token, sizeof token))
        return false;
    LIST_FOREACH(worker, &workers, all)
    {
        format_token(worker, living);
        if (worker->state != WORKER_GONE && !worker->joined && strcmp(token, living) == 0)
            return false;
    }
    return true;
}

struct leftover_search {
    int number;
    bool found;
};

static void visit_leftover(pid_t pid, void *context)
{
    struct leftover_search *search = context;

    if (!is_leftover(pid))
        return;
    search->found = true;
    kill(pid, search->number);
}

static void on_leftover_timer(struct loop_timer *timer)
{
    (void)timer;
    procfs_each_child(getpid(), visit_leftover, &(struct leftover_search){.number = SIGKILL});
}

/* Grandchildren that outlived their worker get TERM, and after --grace KILL. */
static void end_leftovers(void)
{
    struct leftover_search search = {.number = SIGTERM};

    procfs_each_child(getpid(), visit_leftover, &search);
    leftover_timer.on_time = on_leftover_timer;
    if (search.found && !stopping)
        loop_start_timer(&leftover_timer, (int64_t)broker.config.grace_s * 1000);
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

static void on_child_end(const siginfo_t *info)
{
    struct worker *worker = worker_find_by_pid(info->si_pid);

    if (!worker) {
        end_leftovers();
        return;
    }
    bool ended_well = info->si_code == CLD_EXITED && info->si_status == 0;
    pid_t heir = ended_well && !stopping ? find_heir(worker) : 0;
    if (heir) { /* it went into the background */
        log_debug("worker %u goes on as pid %d", worker->slot, (int)heir);
        worker->pid = heir;
        return;
    }
    read_exec_error(worker);
    on_worker_end(worker, info);
    end_leftovers();
}

static void on_child_stopped(pid_t pid, bool stopped)
{
    struct worker *worker = worker_find_by_pid(pid);
    struct channel *channel;

    if (!worker)
        return;
    worker->stopped = stopped;
    log_debug("worker %u was %s", worker->slot,
              stopped ? "stopped; its offers go to others" : "continued");
    LIST_FOREACH(channel, &worker->channels, of_worker)
    {
        if (stopped)
            recall_strand(channel);
        else if (channel->listening)
            dispatch_wake(channel);
    }
}

static bool has_children(void)
{
    siginfo_t info;
    return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

static bool has_joined_workers(void)
{
    struct worker *worker;

    LIST_FOREACH(worker, &workers, all)
    if (worker->joined && worker->state != WORKER_GONE)
        return true;
    return false;
}

void fleet_on_children(void)
{
    siginfo_t info;

    for (;;) {
        info.si_pid = 0;
        if (waitid(P_ALL, 0, &info, WEXITED | WSTOPPED | WCONTINUED | WNOHANG) < 0 ||
            info.si_pid == 0)
            break;
        if (info.si_code == CLD_STOPPED || info.si_code == CLD_TRAPPED ||
            info.si_code == CLD_CONTINUED)
            on_child_stopped(info.si_pid, info.si_code != CLD_CONTINUED);
        else
            on_child_end(&info);
    }
    if (stopping && !has_children() && !has_joined_workers())
        loop_quit();
}

/* --- starting --- */

static void on_respawn(struct loop_timer *timer)
{
    struct fleet_slot *slot = loop_container(timer, struct fleet_slot, respawn);

    slot->restarts++;
    start_worker(slot);
}

static void start_worker(struct fleet_slot *slot)
{
    struct worker *worker = worker_create(slot->id);
    int error_fd = -1;

    if (worker) {
        struct spawn_identity identity = {slot->id, worker->token};
        worker->pid = spawn_worker(broker.config.command, &identity, &error_fd);
    }
    if (!worker || worker->pid < 0) {
        log_error("cannot start worker %u: %s; trying again", slot->id, strerror(errno));
        if (worker)
            worker_bury(worker);
        slot->failures++;
        loop_start_timer(&slot->respawn,
                         RESPAWN_FIRST_MS << (slot->failures < 8 ? slot->failures : 8));
        return;
    }
    slot->worker = worker;
    worker->exec_watch = (struct loop_watch){error_fd, on_exec_pipe};
    loop_add(&worker->exec_watch, EPOLLIN);
    worker->start_timer.on_time = on_start_timeout;
    loop_start_timer(&worker->start_timer, (int64_t)broker.config.start_timeout_s * 1000);
}

static struct fleet_slot *add_slot(void)
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
        if (!add_slot())
            return -1;
    for (unsigned i = 0; i < broker.config.workers; i++)
        start_worker(slots[i]);
    return 0;
}

/* --- workers that join --- */

static void on_joined_end(struct loop_watch *watch, uint32_t events)
{
    struct worker *worker = loop_container(watch, struct worker, pidfd_watch);

    (void)events;
    log_debug("worker %u (pid %d), which had joined, ended", worker->slot, (int)worker->pid);
    slots[worker->slot]->worker = NULL;
    slots[worker->slot]->accepted += worker_accepted(worker);
    worker_bury(worker);
    if (stopping && !has_children() && !has_joined_workers())
        loop_quit();
}

static struct fleet_slot *free_slot(void)
{
    for (unsigned i = broker.config.workers; i < slot_count; i++)
        if (!slots[i]->worker)
            return slots[i];
    return slot_count < CONFIG_WORKERS_MAX ? add_slot() : NULL;
}

struct worker *fleet_join(pid_t pid)
{
    /* A forked child of a worker that joined belongs to it. */
    for (pid_t ancestor = pid; ancestor > 1; ancestor = procfs_parent(ancestor)) {
        struct worker *worker = worker_find_by_pid(ancestor);
        if (worker)
            return worker;
    }
    struct fleet_slot *slot = free_slot();
    int pid_fd = slot ? pidfd_open(pid, 0) : -1;
    struct worker *worker = pid_fd < 0 ? NULL : worker_create(slot->id);
    if (!worker) {
        if (pid_fd >= 0)
            close(pid_fd);
        return NULL;
    }
    worker->joined = true;
    worker->pid = pid;
    worker->pidfd_watch = (struct loop_watch){pid_fd, on_joined_end};
    loop_add(&worker->pidfd_watch, EPOLLIN);
    slot->worker = worker;
    log_debug("pid %d joins as worker %u", (int)pid, slot->id);
    return worker;
}

/* --- stopping --- */

static void visit_kill(pid_t pid, void *context)
{
    kill(pid, *(const int *)context);
}

static void signal_everyone(int number)
{
    struct worker *worker;

    LIST_FOREACH(worker, &workers, all)
    if (worker->state != WORKER_GONE)
        signal_worker(worker, number);
    /* orphans that were given to us */
    procfs_each_child(getpid(), visit_kill, &number);
}

static void on_grace_over(struct loop_timer *timer)
{
    if (!killing)
        log_info("workers did not end in time; killing them");
    killing = true;
    signal_everyone(SIGKILL);
    /* What was a grandchild is a child now. */
    loop_start_timer(timer, REAP_MS);
    fleet_on_children();
}

void fleet_stop(int code)
{
    struct listener *listener;
    struct worker *worker;

    if (stopping) {
        killing = true;
        on_grace_over(&grace_timer);
        return;
    }
    stopping = true;
    exit_code = code;
    TAILQ_FOREACH(listener, &listeners, all)
    dispatch_shut(listener);
    for (unsigned i = 0; i < slot_count; i++)
        loop_stop_timer(&slots[i]->respawn);
    LIST_FOREACH(worker, &workers, all)
    if (worker->state != WORKER_GONE) {
        worker->state = WORKER_DRAINING;
        loop_stop_timer(&worker->start_timer);
    }
    signal_everyone(SIGTERM);
    grace_timer.on_time = on_grace_over;
    loop_start_timer(&grace_timer, (int64_t)broker.config.grace_s * 1000);
    fleet_on_children();
}
