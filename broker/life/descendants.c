/* descendants.c - see descendants.h. */
#include "broker/life/descendants.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "broker/base/broker.h"
#include "broker/base/log.h"
#include "broker/base/procfs.h"
#include "broker/pool/closer.h"
#include "broker/pool/path.h"

#define TOKEN_TEXT_SIZE (2 * WIRE_TOKEN_SIZE + 1)

static void format_token(const struct worker *worker, char text[TOKEN_TEXT_SIZE])
{
    for (int i = 0; i < WIRE_TOKEN_SIZE; i++)
        sprintf(text + 2 * i, "%02x", worker->token[i]);
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

    format_token(worker, own);
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

bool descendants_is_leftover(pid_t pid)
{
    char token[TOKEN_TEXT_SIZE];
    struct worker *worker;

    if (descendants_is_known(pid) || !get_token(pid, token))
        return false;
    LIST_FOREACH(worker, &workers, all)
        if (worker->state != WORKER_GONE && !worker->joined && has_token(worker, token))
            return false;
    return true;
}
