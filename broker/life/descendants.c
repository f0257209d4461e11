/* descendants.c - see descendants.h. */
#include "broker/life/descendants.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/base/broker.h"
#include "broker/base/journal.h"
#include "broker/base/log.h"
#include "broker/base/procfs.h"
#include "broker/pool/channel.h"
#include "broker/pool/closer.h"
#include "broker/pool/path.h"

#define BOARD_FILE "/memfd:" CHANNEL_BOARD_NAME
#define LIBRARY_FILE "/libsshim"
#define RECENT_BOARDS 256

#define TOKEN_TEXT_SIZE (2 * WIRE_TOKEN_SIZE + 1)

/* Scoreboards of the workers that ended last; 0: none. */
static ino_t recent_boards[RECENT_BOARDS];
static unsigned recent_board_count;

static void format_token(const struct worker *worker, char text[TOKEN_TEXT_SIZE])
{
    for (int i = 0; i < WIRE_TOKEN_SIZE; i++)
        sprintf(text + 2 * i, "%02x", worker->token[i]);
}

static bool get_token(pid_t pid, char text[TOKEN_TEXT_SIZE])
{
    return procfs_get_environment(pid, "SSHIM_TOKEN", text, TOKEN_TEXT_SIZE);
}

static bool has_token(const struct worker *worker, const char *text)
{
    char own[TOKEN_TEXT_SIZE];

    format_token(worker, own);
    return strcmp(own, text) == 0;
}

static ino_t board_inode(const struct channel *channel)
{
    struct stat info;
    return fstat(channel->board_fd, &info) == 0 ? info.st_ino : 0;
}

static bool is_board_of(ino_t ino, const struct worker *worker)
{
    const struct channel *channel;

    LIST_FOREACH(channel, &worker->channels, of_worker)
        if (board_inode(channel) == ino)
            return true;
    return false;
}

static bool match_worker(ino_t ino, void *context)
{
    return is_board_of(ino, context);
}

static bool match_recent_board(ino_t ino, void *context)
{
    (void)context;
    for (unsigned i = 0; i < RECENT_BOARDS; i++)
        if (recent_boards[i] && recent_boards[i] == ino)
            return true;
    return false;
}

static bool maps_board_of(pid_t pid, const struct worker *worker)
{
    return procfs_find_mapping(pid, BOARD_FILE, match_worker, (void *)(uintptr_t)worker);
}

/* It has the library, so that it was started with our environment, and has bound nothing. */
static bool may_be_anybodys(pid_t pid)
{
    return procfs_maps(pid, LIBRARY_FILE) && !procfs_maps(pid, BOARD_FILE);
}

static bool is_descendant(pid_t pid, const struct worker *worker)
{
    char token[TOKEN_TEXT_SIZE];

    if (get_token(pid, token))
        return has_token(worker, token);
    return maps_board_of(pid, worker) || (LIST_EMPTY(&worker->channels) && may_be_anybodys(pid));
}

/* Forked children of the broker have mapped what it had then: the scoreboards of all. */
bool descendants_is_known(pid_t pid)
{
    return pid == runtime.keeper_pid || closer_is_pid(pid) || path_is_removal(pid) ||
           worker_find_by_pid(pid);
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

    if (descendants_is_known(pid))
        return false;
    bool told = get_token(pid, token);
    if (!told && !procfs_find_mapping(pid, BOARD_FILE, match_recent_board, NULL))
        return false;
    LIST_FOREACH(worker, &workers, all) {
        bool is_its =
            told ? !worker->joined && has_token(worker, token) : maps_board_of(pid, worker);
        if (worker->state != WORKER_GONE && is_its)
            return false;
    }
    return true;
}

void descendants_note_end(const struct worker *worker)
{
    const struct channel *channel;

    LIST_FOREACH(channel, &worker->channels, of_worker)
        recent_boards[recent_board_count++ % RECENT_BOARDS] = board_inode(channel);
}

void descendants_correct(struct worker *worker, pid_t pid)
{
    struct worker *other = worker_find_by_pid(pid);

    if (!other || other == worker || worker->joined || other->joined ||
        worker->pidfd_watch.fd >= 0 || other->pidfd_watch.fd >= 0)
        return;
    log_debug("pid %d is worker %u, not %u", (int)pid, worker->slot, other->slot);
    worker_set_pid(other, worker->pid);
    worker_set_pid(worker, pid);
}
