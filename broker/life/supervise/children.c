/* children.c - see children.h. */
#include "broker/life/supervise/children.h"

#include <signal.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/base/broker.h"
#include "broker/base/journal.h"
#include "broker/base/log.h"
#include "broker/base/process/procfs.h"
#include "broker/base/turn.h"
#include "broker/diagnose/procnet.h"
#include "broker/handout/recall.h"
#include "broker/life/descendants.h"
#include "broker/life/supervise/fleet.h"
#include "broker/life/stop.h"
#include "broker/pool/listener.h"
#include "broker/pool/path.h"
#include "broker/pool/session/session.h"
#include "broker/pool/worker.h"

#define KILL_AFTER_MS 5000    /* what does not end on TERM */
#define LOOK_MS 100           /* between looks at those that were let finish */
#define LOOK_ELSEWHERE_MS 250 /* the same at all processes */
#define TOLD_MAX 1024
#define HIDDEN_MS 50
#define HIDDEN_LOOK_MS 1

static bool (*on_other_child)(const siginfo_t *info);

/*
 * Leftovers: processes that outlived their worker. Those of a drained worker may serve their
 * connections until their deadline, and get TERM when they have none; all others get TERM at once.
 * KILL follows. During a stop all get TERM at once, and stop.c kills what does not end.
 */
static struct loop_timer leftover_timer;

static bool once_more; /* one may have come since the look began */
static unsigned look = 1;

/* Those that got TERM. If there are more at a time, the others get it when some have ended. */
static struct told {
    pid_t pid;
    uint32_t birth;
    unsigned look; /* that saw it last; an older one than the last: a free place */
    int64_t kill_at_ms;
} told[TOLD_MAX];

static struct told *find_told(pid_t pid)
{
    for (unsigned i = 0; i < TOLD_MAX; i++)
        if (told[i].pid == pid && told[i].birth == procfs_birth(pid))
            return &told[i];
    return NULL;
}

static struct told *find_place(void)
{
    for (unsigned i = 0; i < TOLD_MAX; i++)
        if (told[i].look + 1 < look || !told[i].pid)
            return &told[i];
    return NULL;
}

static void tell(pid_t pid)
{
    struct told *place = find_place();

    if (place)
        *place = (struct told){pid, procfs_birth(pid), look, loop_now_ms() + KILL_AFTER_MS};
    if (place || stop_is_under_way())
        descendants_signal(pid, SIGTERM);
}

static void visit_leftover(pid_t pid, int64_t finish_by_ms)
{
    struct told *place = find_told(pid);

    if (place)
        place->look = look;
    if (place && loop_now_ms() >= place->kill_at_ms && !stop_is_under_way())
        descendants_signal(pid, SIGKILL);
    else if (!place &&
             (stop_is_under_way() || loop_now_ms() >= finish_by_ms || !procnet_has_connection(pid)))
        tell(pid);
}

static void on_leftover_timer(struct loop_timer *timer)
{
    static enum descendants_look last = DESCENDANTS_NONE;

    if (last != DESCENDANTS_UNSEEN) {
        once_more = false;
        look++;
    }
    last = descendants_each_leftover(visit_leftover);
    if (last == DESCENDANTS_UNSEEN || once_more)
        loop_start_timer(timer, 0);
    else if (last == DESCENDANTS_LEFT)
        loop_start_timer(timer, descendants_are_elsewhere() ? LOOK_ELSEWHERE_MS : LOOK_MS);
    stop_check();
}

void children_look_at_leftovers(void)
{
    leftover_timer.on_time = on_leftover_timer;
    once_more = true;
    loop_start_timer(&leftover_timer, 0);
}

void children_on_worker_end(struct worker *worker, const siginfo_t *info)
{
    bool was_draining = worker->state == WORKER_DRAINING && !stop_is_under_way();
    int64_t finish_by_ms = worker->drain_ms + worker_stop_timeout_ms(worker);

    descendants_note_end(worker, was_draining ? finish_by_ms : 0);
    fleet_on_end(worker, info);
    children_look_at_leftovers();
}

/* Another process of the worker may go on in its place. */
static bool may_have_heir(const siginfo_t *info, const struct worker *worker)
{
    return worker && info->si_code == CLD_EXITED && info->si_status == 0 && !stop_is_under_way() &&
           worker->state != WORKER_DRAINING;
}

/* Not for longer than HIDDEN_MS once all were seen, since the ends of other children wait as well.
 */
static bool is_undecided(const siginfo_t *info, pid_t *heir)
{
    static pid_t undecided;
    static int64_t since_ms;
    const struct worker *worker = worker_find_by_pid(info->si_pid);
    enum descendants_look left;

    *heir = 0;
    if (!may_have_heir(info, worker))
        return false;
    *heir = descendants_find(worker, &left);
    if (undecided != info->si_pid || left == DESCENDANTS_UNSEEN)
        since_ms = loop_now_ms();
    undecided = info->si_pid;
    if (!*heir && left != DESCENDANTS_NONE && loop_now_ms() - since_ms < HIDDEN_MS)
        return true;
    undecided = 0;
    return false;
}

/* heir: goes on in its place; 0: none. */
static void on_child_end(const siginfo_t *info, pid_t heir)
{
    struct worker *worker = worker_find_by_pid(info->si_pid);

    if (!worker && path_on_child_end(info)) {
        session_retry_parked(); /* one of them may wait for that name */
        return;
    }
    if (!worker && on_other_child(info))
        return;
    if (!worker) {
        children_look_at_leftovers();
        return;
    }
    if (heir) { /* it went into the background */
        log_debug("worker %u goes on as pid %d", worker->slot, (int)heir);
        worker_set_pid(worker, heir);
        return;
    }
    children_on_worker_end(worker, info);
}

void children_note_stopped(struct worker *worker, bool stopped)
{
    struct channel *channel;

    worker_set_stopped(worker, stopped);
    log_debug("worker %u was %s", worker->slot,
              stopped ? "stopped; its offers go to others" : "continued");
    if (stopped) {
        recall_all_of(worker);
        return;
    }
    LIST_FOREACH(channel, &worker->channels, of_worker)
        if (channel->listening && !channel->closed)
            channel_set_woken(channel, true);
    listener_pump_all();
}

static void on_child_stopped(pid_t pid, bool stopped)
{
    struct worker *worker = worker_find_by_pid(pid);

    if (worker)
        children_note_stopped(worker, stopped);
}

void children_init(bool (*on_other)(const siginfo_t *info))
{
    on_other_child = on_other;
}

static void on_rest(struct loop_timer *timer)
{
    (void)timer;
    children_on_signal();
}

/* The next change of a child, which stays to be taken. False: there is none. */
static bool peek(siginfo_t *info)
{
    info->si_pid = 0;
    return waitid(P_ALL, 0, info, WEXITED | WSTOPPED | WCONTINUED | WNOHANG | WNOWAIT) == 0 &&
           info->si_pid != 0;
}

/* False: that child has changed again. */
static bool take(siginfo_t *info, int what)
{
    id_t pid = (id_t)info->si_pid;

    info->si_pid = 0;
    return waitid(P_PID, pid, info, what | WNOHANG) == 0 && info->si_pid != 0;
}

static void handle(siginfo_t *info, pid_t heir)
{
    switch (info->si_code) {
    case CLD_STOPPED:
    case CLD_TRAPPED:
        if (take(info, WSTOPPED))
            on_child_stopped(info->si_pid, true);
        break;
    case CLD_CONTINUED:
        if (take(info, WCONTINUED))
            on_child_stopped(info->si_pid, false);
        break;
    default:
        if (take(info, WEXITED))
            on_child_end(info, heir);
    }
}

void children_on_signal(void)
{
    static struct loop_timer rest = {.on_time = on_rest};
    siginfo_t info;
    pid_t heir;

    while (turn_has_time() && peek(&info)) { /* any number may have ended at once */
        if (is_undecided(&info, &heir)) {
            loop_start_timer(&rest, HIDDEN_LOOK_MS);
            break;
        }
        handle(&info, heir);
    }
    if (!turn_has_time())
        loop_start_timer(&rest, 0);
    stop_check();
}
