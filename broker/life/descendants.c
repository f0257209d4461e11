/* descendants.c - see descendants.h. */
#include "broker/life/descendants.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/queue.h>
#include <unistd.h>

#include "broker/base/broker.h"
#include "broker/base/journal.h"
#include "broker/base/log.h"
#include "broker/base/procfs.h"
#include "broker/pool/channel.h"
#include "broker/pool/closer.h"
#include "broker/pool/path.h"

#define BOARD_FILE "/memfd:" CHANNEL_BOARD_NAME /* every process of a server has it mapped */
#define TOKEN_TEXT_SIZE (2 * WIRE_TOKEN_SIZE + 1)

static void format_token(const uint8_t token[WIRE_TOKEN_SIZE], char text[TOKEN_TEXT_SIZE])
{
    for (int i = 0; i < WIRE_TOKEN_SIZE; i++)
        sprintf(text + 2 * i, "%02x", token[i]);
}

/* The environment is cheaper to read; a title may have been written over it, or over its end. */
static bool get_token(pid_t pid, char text[TOKEN_TEXT_SIZE])
{
    return (procfs_get_environment(pid, "SSHIM_TOKEN", text, TOKEN_TEXT_SIZE) &&
            strlen(text) == TOKEN_TEXT_SIZE - 1) ||
           procfs_get_mapped_name(pid, "/memfd:" WIRE_TOKEN_FILE, text, TOKEN_TEXT_SIZE);
}

static bool has_token(const struct worker *worker, const char *text)
{
    char own[TOKEN_TEXT_SIZE];

    format_token(worker->token, own);
    return strcmp(own, text) == 0;
}

static bool is_descendant(pid_t pid, const struct worker *worker)
{
    char token[TOKEN_TEXT_SIZE];

    return get_token(pid, token) && has_token(worker, token);
}

/* Forked children of the broker have mapped what it had then: the scoreboards of all. */
bool descendants_is_known(pid_t pid)
{
    return pid == runtime.keeper_pid || pid == runtime.old_keeper_pid || closer_is_pid(pid) ||
           path_is_removal(pid) || worker_find_by_pid(pid);
}

struct heir_search {
    const struct worker *worker;
    pid_t found;
};

static void visit_heir(pid_t pid, void *context)
{
    struct heir_search *search = context;

    if (!search->found && !descendants_is_known(pid) && is_descendant(pid, search->worker))
        search->found = pid;
}

pid_t descendants_find(const struct worker *worker)
{
    struct heir_search search = {.worker = worker, .found = 0};

    /* A parent that ends while we look hides its child: look again. */
    for (int looks = 0; looks < 3 && !search.found; looks++)
        procfs_each_child(getpid(), visit_heir, &search);
    return search.found;
}

static void signal_server(pid_t pid, void *context)
{
    if (procfs_maps(pid, BOARD_FILE))
        kill(pid, *(const int *)context);
    else
        procfs_each_child(pid, signal_server, context);
}

void descendants_signal_servers(const struct worker *worker, int number)
{
    if (worker->pid > 0 && !procfs_maps(worker->pid, BOARD_FILE))
        procfs_each_child(worker->pid, signal_server, &number);
    worker_signal(worker, number);
}

/* --- what workers that are no more have left --- */

/* A worker that has ended. Whoever carries its token is left of it. */
struct departed {
    struct descendants_record record;
    bool is_elsewhere; /* its processes are not given to us */
    bool found;
    unsigned misses; /* looks in a row that found nobody */
    LIST_ENTRY(departed) all;
};

static LIST_HEAD(, departed) departed_workers = LIST_HEAD_INITIALIZER(departed_workers);

void descendants_add_record(const struct descendants_record *record, bool is_elsewhere)
{
    struct departed *departed = calloc(1, sizeof *departed);

    if (!departed)
        return;
    departed->record = *record;
    departed->is_elsewhere = is_elsewhere;
    LIST_INSERT_HEAD(&departed_workers, departed, all);
    journal_touch();
}

void descendants_note_end(const struct worker *worker, int64_t finish_by_ms)
{
    struct descendants_record record = {.finish_by_ms = finish_by_ms};

    if (worker->joined)
        return;
    memcpy(record.token, worker->token, sizeof record.token);
    descendants_add_record(&record, worker->pidfd_watch.fd >= 0);
}

void descendants_each_record(void (*visit)(const struct descendants_record *record, void *context),
                             void *context)
{
    const struct departed *departed;

    LIST_FOREACH(departed, &departed_workers, all)
        visit(&departed->record, context);
}

static struct departed *find_departed(const char *text)
{
    struct departed *departed;
    char token[TOKEN_TEXT_SIZE];

    LIST_FOREACH(departed, &departed_workers, all) {
        format_token(departed->record.token, token);
        if (strcmp(token, text) == 0)
            return departed;
    }
    return NULL;
}

static bool is_of_living(const char *token)
{
    const struct worker *worker;

    LIST_FOREACH(worker, &workers, all)
        if (worker->state != WORKER_GONE && !worker->joined && has_token(worker, token))
            return true;
    return false;
}

struct leftover_search {
    void (*visit)(pid_t pid, int64_t finish_by_ms);
    bool found;
};

/* One without a record: it was believed that nobody was left. */
static void visit_child(pid_t pid, void *context)
{
    struct leftover_search *search = context;
    char token[TOKEN_TEXT_SIZE];

    if (descendants_is_known(pid) || !get_token(pid, token) || is_of_living(token))
        return;
    struct departed *departed = find_departed(token);
    if (departed)
        departed->found = true;
    search->found = true;
    search->visit(pid, departed ? departed->record.finish_by_ms : 0);
}

static void visit_other(pid_t pid, void *context)
{
    struct leftover_search *search = context;
    char token[TOKEN_TEXT_SIZE];

    if (pid == getpid() || !get_token(pid, token) || worker_find_by_pid(pid))
        return;
    struct departed *departed = find_departed(token);
    if (!departed || !departed->is_elsewhere)
        return;
    departed->found = true;
    search->found = true;
    search->visit(pid, departed->record.finish_by_ms);
}

bool descendants_are_elsewhere(void)
{
    const struct departed *departed;

    LIST_FOREACH(departed, &departed_workers, all)
        if (departed->is_elsewhere)
            return true;
    return false;
}

/* A parent that ends while we look hides its child: forgotten after the second look. */
static void forget_those_done(void)
{
    struct departed *departed = LIST_FIRST(&departed_workers);

    while (departed) {
        struct departed *next = LIST_NEXT(departed, all);
        departed->misses = departed->found ? 0 : departed->misses + 1;
        departed->found = false;
        if (departed->misses > 1) {
            LIST_REMOVE(departed, all);
            free(departed);
            journal_touch();
        }
        departed = next;
    }
}

bool descendants_each_leftover(void (*visit)(pid_t pid, int64_t finish_by_ms))
{
    struct leftover_search search = {.visit = visit};

    procfs_each_child(getpid(), visit_child, &search);
    if (descendants_are_elsewhere())
        procfs_each(visit_other, &search);
    forget_those_done();
    return search.found || !LIST_EMPTY(&departed_workers);
}

void descendants_signal(pid_t pid, int number)
{
    char token[TOKEN_TEXT_SIZE];

    if (procfs_parent(pid) == getpid()) { /* nobody else gets the number before we have waited */
        kill(pid, number);
        return;
    }
    int pid_fd = pidfd_open(pid, 0);
    if (pid_fd < 0)
        return;
    if (get_token(pid, token) && find_departed(token))
        pidfd_send_signal(pid_fd, number, NULL, 0);
    close(pid_fd);
}
