/* slot.c - see slot.h. */
#include "broker/life/slot.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/base/broker.h"
#include "broker/base/journal.h"
#include "broker/base/log.h"
#include "broker/base/process/procfs.h"
#include "broker/diagnose/oom.h"
#include "broker/life/launch/output.h"
#include "broker/life/launch/spawn.h"
#include "broker/life/begin/readiness.h"
#include "broker/life/begin/start.h"
#include "proto/fdpass.h"

static struct slot **slots;
static unsigned count;
static unsigned generation;
static bool ever_ready;
static struct slot_change last_change;
static int failure_status;
static void (*tell_ready)(struct slot *slot);
static void (*respawn)(struct loop_timer *timer);
static void (*take_notify_fd)(const struct worker *worker, int fd);

void slot_init(void (*on_ready)(struct slot *slot), void (*on_respawn)(struct loop_timer *timer))
{
    tell_ready = on_ready;
    respawn = on_respawn;
}

void slot_respawn_after(struct slot *slot, int64_t delay_ms)
{
    slot->respawn.on_time = respawn;
    loop_start_timer(&slot->respawn, delay_ms);
}

void slot_set_notify(void (*on_notify_fd)(const struct worker *worker, int fd))
{
    take_notify_fd = on_notify_fd;
}

unsigned slot_count(void)
{
    return count;
}

struct slot *slot_at(unsigned id)
{
    return slots[id];
}

struct slot *slot_add(void)
{
    struct slot **more = realloc(slots, (count + 1) * sizeof(struct slot *));
    struct slot *slot = calloc(1, sizeof *slot);

    if (more)
        slots = more;
    if (!more || !slot) {
        free(slot);
        errno = ENOMEM;
        return NULL;
    }
    slot->id = count;
    slots[count++] = slot;
    return slot;
}

unsigned slot_generation(void)
{
    return generation;
}

void slot_set_generation(unsigned number)
{
    generation = number;
    journal_touch();
}

/* End of file: exec has closed the pipe, the program runs. */
void slot_read_exec_error(struct worker *worker)
{
    struct loop_fd *watch = &worker->exec_watch;
    struct launch_failure failure = {0};
    int fd = -1;
    ssize_t got;

    if (watch->fd < 0)
        return;
    do {
        got = fdpass_recv(watch->fd, &failure, sizeof failure, &fd, MSG_CMSG_CLOEXEC | MSG_DONTWAIT,
                          NULL);
        if (fd >= 0)
            take_notify_fd(worker, fd);
    } while (fd >= 0);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got == sizeof failure)
        worker->failure = failure;
    loop_remove(watch);
    close(watch->fd);
    watch->fd = -1;
}

static void on_exec_pipe(struct loop_fd *watch, uint32_t events)
{
    (void)events;
    slot_read_exec_error(loop_container(watch, struct worker, exec_watch));
}

struct worker *slot_start_worker(struct slot *slot)
{
    struct worker *worker = worker_create(slot->id);
    int error_fd = -1;

    if (!worker)
        return NULL;
    if (readiness_begin(worker) < 0) {
        int saved = errno;
        worker_bury(worker);
        errno = saved;
        return NULL;
    }
    struct readiness_name name = readiness_name(worker);
    struct spawn_identity identity = {slot->id, worker->token, name.text, {-1, -1}};
    output_for(slot->id, identity.outputs);
    worker->generation = generation;
    slot->has_ended = false;
    worker_set_held(worker, slot->held);
    journal_save_now(); /* the next broker knows whose process this is */
    uint32_t from = procfs_birth_now();
    worker_set_new_pid(worker, spawn_worker(&identity, &error_fd), from);
    if (worker->pid < 0) {
        int saved = errno;
        worker_bury(worker);
        errno = saved;
        return NULL;
    }
    log_event(LOG_LEVEL_VERBOSE, LOG_WORKER_START,
              LOG_FACTS(LOG_NUMBER("worker", worker->slot), LOG_NUMBER("pid", worker->pid)),
              "worker %u (pid %d) starts", worker->slot, (int)worker->pid);
    worker->exec_watch = (struct loop_fd){error_fd, on_exec_pipe};
    loop_add(&worker->exec_watch, EPOLLIN);
    start_watch(worker);
    return worker;
}

void slot_mark_ready(struct slot *slot, struct worker *worker)
{
    worker_set_ready(worker);
    loop_stop_timer(&worker->start_timer);
    log_event(LOG_LEVEL_VERBOSE, LOG_WORKER_READY,
              LOG_FACTS(LOG_NUMBER("worker", worker->slot), LOG_NUMBER("pid", worker->pid)),
              "worker %u (pid %d) is ready", worker->slot, (int)worker->pid);
    ever_ready = true;
    if (tell_ready)
        tell_ready(slot);
}

static bool is_own_fault(int number)
{
    return number == SIGSEGV || number == SIGBUS || number == SIGFPE || number == SIGILL ||
           number == SIGABRT || number == SIGTRAP || number == SIGSYS;
}

static bool is_oom(const siginfo_t *info)
{
    return info->si_code == CLD_KILLED && info->si_status == SIGKILL && oom_is_cause();
}

enum worker_end slot_note_end(struct slot *slot, const struct worker *worker, const siginfo_t *info)
{
    enum worker_end end = worker->asked_end;

    bool exited = info->si_code == CLD_EXITED;
    bool is_crash = exited ? info->si_status != 0 : info->si_code && is_own_fault(info->si_status);

    if (end == WORKER_END_EXIT)
        end = is_oom(info) ? WORKER_END_OOM
              : is_crash   ? WORKER_END_CRASH
              : exited     ? WORKER_END_EXIT
                           : WORKER_END_SIGNAL;
    slot->ends[end]++;
    return end;
}

/* As a shell tells it. */
static int status_of(const siginfo_t *info)
{
    switch (info->si_code) {
    case CLD_EXITED: return info->si_status;
    case CLD_KILLED:
    case CLD_DUMPED: return 128 + info->si_status;
    default: return 1;
    }
}

void slot_note_status(const siginfo_t *info)
{
    if (failure_status == 0)
        slot_set_failure_status(status_of(info));
}

void slot_set_ended(struct slot *slot, bool ended)
{
    slot->has_ended = ended;
    journal_touch();
}

bool slot_all_ended(void)
{
    for (unsigned i = 0; i < runtime.workers; i++)
        if (i >= count || !slots[i]->has_ended)
            return false;
    return runtime.workers > 0;
}

int slot_failure_status(void)
{
    return failure_status;
}

void slot_set_failure_status(int status)
{
    failure_status = status;
    journal_touch();
}

bool slot_was_ever_ready(void)
{
    return ever_ready;
}

void slot_note_ever_ready(void)
{
    ever_ready = true;
}

void slot_set_held(struct slot *slot, bool held)
{
    slot->held = held;
    if (slot->worker)
        worker_set_held(slot->worker, held);
    if (slot->successor)
        worker_set_held(slot->successor, held);
    journal_touch();
}

void slot_set_wanted(unsigned number, pid_t asker)
{
    last_change = (struct slot_change){runtime.workers, number, asker};
    runtime.workers = number;
    journal_touch();
}

struct slot_change slot_last_change(void)
{
    return last_change;
}

void slot_resume_change(const struct slot_change *change)
{
    last_change = *change;
    journal_touch();
}

unsigned slot_count_ready(void)
{
    unsigned ready = 0;

    for (unsigned i = 0; i < runtime.workers && i < count; i++)
        ready += slots[i]->worker && slots[i]->worker->state == WORKER_READY;
    return ready;
}

unsigned slot_count_held(void)
{
    unsigned held = 0;

    for (unsigned i = 0; i < runtime.workers && i < count; i++)
        held += slots[i]->held && slots[i]->worker && slots[i]->worker->state == WORKER_READY;
    return held;
}

unsigned slot_count_joined(void)
{
    unsigned joined = 0;

    for (unsigned i = 0; i < count; i++)
        joined += slots[i]->worker && slots[i]->worker->joined;
    return joined;
}

unsigned slot_count_filled(void)
{
    unsigned filled = 0;

    for (unsigned i = 0; i < count; i++)
        filled += slots[i]->worker != NULL;
    return filled;
}
