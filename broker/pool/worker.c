/* worker.c - see worker.h. */
#include "broker/pool/worker.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/base/broker.h"
#include "broker/base/journal.h"
#include "broker/base/process/procfs.h"
#include "broker/base/process/signal.h"
#include "broker/pool/closer.h"
#include "broker/pool/listener.h"

/* What a worker may send at once, in our time. It binds all that it has as it starts, before and
 * after it is ready: for that it has more, once. */
#define BURST_US 50000
#define START_US 450000

struct worker_list workers = LIST_HEAD_INITIALIZER(workers);

const char *worker_state_name(enum worker_state state)
{
    static const char *const names[] = {
#define X(name, text) text,
        WORKER_STATES(X)
#undef X
    };
    return names[state];
}

const char *worker_end_name(enum worker_end end)
{
    static const char *const names[] = {
#define X(name, text) text,
        WORKER_ENDS(X)
#undef X
    };
    static_assert(sizeof names / sizeof names[0] == WORKER_ENDS_COUNT, "a row each");
    return names[end];
}

struct worker *worker_create(unsigned slot)
{
    struct worker *worker = calloc(1, sizeof *worker);

    if (!worker)
        return NULL;
    worker->slot = slot;
    budget_init(&worker->budget);
    worker->budget.burst_us = BURST_US;
    worker->budget.debt_us = -START_US;
    worker->started_ms = loop_now_ms();
    worker->moved_ms = loop_now_ms();
    worker->pidfd_watch.fd = -1;
    worker->exec_watch.fd = -1;
    worker->readiness.socket_fd = -1;
    worker->stop_timeout_s = CONFIG_NOT_GIVEN;
    LIST_INIT(&worker->channels);
    if (getrandom(worker->token, sizeof worker->token, 0) != sizeof worker->token) {
        free(worker);
        return NULL;
    }
    LIST_INSERT_HEAD(&workers, worker, all);
    journal_touch();
    return worker;
}

void worker_set_state(struct worker *worker, enum worker_state state)
{
    worker->state = state;
    journal_touch();
}

void worker_set_slot(struct worker *worker, unsigned slot)
{
    worker->slot = slot;
    journal_touch();
}

void worker_set_pid(struct worker *worker, pid_t pid)
{
    worker->pid = pid;
    worker->birth = pid > 0 ? procfs_birth(pid) : 0;
    journal_touch();
}

void worker_set_new_pid(struct worker *worker, pid_t pid, uint32_t from)
{
    worker->pid = pid;
    worker->birth = pid > 0 ? procfs_birth_since(pid, from) : 0;
    journal_touch();
}

void worker_set_stopped(struct worker *worker, bool stopped)
{
    worker->stopped = stopped;
    journal_touch();
}

static void publish_shut_out(struct worker *worker)
{
    struct channel *channel;

    journal_touch();
    LIST_FOREACH(channel, &worker->channels, of_worker)
        channel_set_flag(channel, BOARD_DRAINING, worker_is_shut_out(worker));
}

void worker_set_held(struct worker *worker, bool held)
{
    worker->held = held;
    publish_shut_out(worker);
}

void worker_set_kept_back(struct worker *worker, bool kept_back)
{
    worker->kept_back = kept_back;
    publish_shut_out(worker);
}

void worker_wake(struct worker *worker)
{
    struct channel *channel;

    LIST_FOREACH(channel, &worker->channels, of_worker)
        if (channel->listening && !channel->closed)
            channel_set_woken(channel, true);
    listener_pump_all();
}

void worker_ask_end(struct worker *worker, enum worker_end why)
{
    if (worker->asked_end == WORKER_END_EXIT)
        worker->asked_end = why;
    journal_touch();
}

void worker_set_stop_timeout(struct worker *worker, unsigned seconds)
{
    worker->stop_timeout_s = seconds;
    journal_touch();
}

unsigned worker_count_port_zero(struct worker *worker)
{
    journal_touch();
    return ++worker->port_zero_claims;
}

void worker_uncount_port_zero(struct worker *worker)
{
    worker->port_zero_claims--;
    journal_touch();
}

void worker_set_ready(struct worker *worker)
{
    worker->ready_ms = loop_now_ms();
    worker->moved_ms = loop_now_ms();
    worker_set_state(worker, WORKER_READY);
    if (!worker->kept_back)
        return;
    worker_set_kept_back(worker, false);
    worker_wake(worker);
}

static void unwatch(struct loop_fd *watch)
{
    if (watch->fd < 0)
        return;
    loop_remove(watch);
    close(watch->fd);
    watch->fd = -1;
}

int worker_watch_pid(struct worker *worker, void (*on_end)(struct loop_fd *, uint32_t))
{
    int pid_fd = pidfd_open(worker->pid, 0);

    if (pid_fd < 0)
        return -1;
    unwatch(&worker->pidfd_watch);
    worker->pidfd_watch = (struct loop_fd){pid_fd, on_end};
    return loop_add(&worker->pidfd_watch, EPOLLIN);
}

bool worker_is_itself(const struct worker *worker)
{
    return worker->birth == 0 || procfs_birth(worker->pid) == worker->birth;
}

void worker_signal(const struct worker *worker, int number)
{
    if (worker->pidfd_watch.fd >= 0)
        pidfd_send_signal(worker->pidfd_watch.fd, number, NULL, 0);
    else if (worker->pid > 0)
        signal_process(worker->pid, number);
}

/* Nobody can send there any more, and who reads it learns that. */
static void close_notify_socket(struct worker *worker)
{
    if (worker->readiness.socket_fd < 0)
        return;
    shutdown(worker->readiness.socket_fd, SHUT_RDWR);
    closer_close(worker->readiness.socket_fd); /* strangers may have sent descriptors */
    worker->readiness.socket_fd = -1;
}

static void free_if_done(struct worker *worker)
{
    if (worker->state != WORKER_GONE || !LIST_EMPTY(&worker->channels))
        return;
    LIST_REMOVE(worker, all);
    journal_touch();
    budget_finish(&worker->budget);
    free(worker);
}

void worker_tell_over(struct worker *worker)
{
    struct channel *channel;

    LIST_FOREACH(channel, &worker->channels, of_worker)
        channel_set_flag(channel, BOARD_DRAINING, true);
}

/* Notes the listeners that its slot's next worker may come back to. A worker that has closed all
 * its listeners was about to end: the next one comes for none of them. */
static void note_missed(const struct worker *worker)
{
    struct listener *listener;
    struct channel *channel;

    TAILQ_FOREACH(listener, &listeners, all)
        if (worker_has_left(worker) && loop_timer_runs(&listener->retire))
            listener_set_missed(listener, worker->slot, true);
    LIST_FOREACH(channel, &worker->channels, of_worker) {
        if (!channel->closed)
            listener_set_missed(channel->listener, worker->slot, true);
    }
}

void worker_bury(struct worker *worker)
{
    struct channel *channel;

    worker_tell_over(worker);
    LIST_FOREACH(channel, &worker->channels, of_worker)
        if (!channel->closed)
            listener_owe_removal(channel->listener);
    if (worker->state <= WORKER_READY)
        note_missed(worker);
    worker_set_state(worker, WORKER_GONE);
    loop_stop_timer(&worker->start_timer);
    unwatch(&worker->pidfd_watch);
    unwatch(&worker->exec_watch);
    loop_stop_timer(&worker->readiness.timer);
    close_notify_socket(worker);
    if (LIST_EMPTY(&worker->channels)) {
        free_if_done(worker);
        return;
    }
    LIST_FOREACH(channel, &worker->channels, of_worker) {
        channel_disown(channel);
        listener_retire_if_unused(channel->listener);
    }
    listener_pump_all(); /* frees the channels, and the worker with the last of them */
}

/* No offer was sent that others could take, or no other worker will ever come for it. */
static bool is_over(const struct channel *channel)
{
    return !channel->listener->listening ||
           (config_is_exact(&broker.config) && channel->listener->channel_count == 1 &&
            channel->worker->state != WORKER_GONE);
}

void worker_close_channel(struct channel *channel)
{
    if (channel->closed)
        return;
    channel_disown(channel);
    listener_retire_if_unused(channel->listener);
    if (is_over(channel))
        worker_on_channel_drained(channel);
    else
        listener_pump(channel->listener);
}

void worker_on_channel_drained(struct channel *channel)
{
    struct worker *worker = channel->worker;

    if (!channel->closed)
        return;
    journal_touch(); /* their_fd is closed in any case: its number must not be taken for it again */
    if (worker->state != WORKER_GONE && channel_let_go(channel))
        return;
    struct listener *listener = channel->listener;
    worker->accepted += channel_accepted(channel);
    worker->accepted_at_port |= channel_has_accepted_at_port(channel);
    budget_leave(&channel->waits);
    if (channel->watch.fd >= 0)
        loop_remove(&channel->watch);
    listener_remove_channel(channel->listener, channel);
    LIST_REMOVE(channel, of_worker);
    channel_destroy(channel);
    listener_retire_if_unused(listener);
    free_if_done(worker);
}

static bool is_same_token(const uint8_t *a, const uint8_t *b)
{
    uint8_t difference = 0;

    for (size_t i = 0; i < WIRE_TOKEN_SIZE; i++)
        difference |= a[i] ^ b[i];
    return difference == 0;
}

struct worker *worker_find_by_token(const struct wire_auth *auth)
{
    struct worker *found = NULL;
    struct worker *worker;

    LIST_FOREACH(worker, &workers, all)
        if (is_same_token(worker->token, auth->token) && !worker->joined &&
            worker->slot == auth->slot && worker->state != WORKER_GONE)
            found = worker;
    return found;
}

struct worker *worker_find_by_pid(pid_t pid)
{
    struct worker *worker;

    LIST_FOREACH(worker, &workers, all)
        if (worker->pid == pid && worker->state != WORKER_GONE)
            return worker;
    return NULL;
}

int64_t worker_stop_timeout_ms(const struct worker *worker)
{
    unsigned given_s = worker->stop_timeout_s;

    return (given_s == CONFIG_NOT_GIVEN ? broker.config.stop_timeout_s : given_s) * (int64_t)1000;
}
