/* descendants.c - see descendants.h. */
#include "broker/life/descendants.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "broker/base/broker.h"
#include "broker/base/journal.h"
#include "broker/base/log.h"
#include "broker/base/process/procfs.h"
#include "broker/base/process/signal.h"
#include "broker/base/turn.h"
#include "broker/base/process/aside.h"
#include "broker/base/process/deputy.h"
#include "broker/base/process/glance.h"
#include "broker/life/begin/receiver.h"
#include "broker/pool/channel.h"
#include "broker/pool/closer.h"
#include "broker/pool/path.h"

#define BOARD_FILE "/memfd:" CHANNEL_BOARD_NAME /* every process of a server has it mapped */

#define LOOKS_MAX 3

/* The environment is cheaper to read, but a process title may have overwritten it or its end. */
static bool get_token(pid_t pid, char text[WIRE_TOKEN_TEXT_SIZE])
{
    return (glance_get_environment(pid, "SSHIM_TOKEN", text, WIRE_TOKEN_TEXT_SIZE) &&
            strlen(text) == WIRE_TOKEN_TEXT_SIZE - 1) ||
           glance_get_mapped_name(pid, "/memfd:" WIRE_TOKEN_FILE, text, WIRE_TOKEN_TEXT_SIZE);
}

static bool has_token(const struct worker *worker, const char *text)
{
    char own[WIRE_TOKEN_TEXT_SIZE];

    wire_format_token(worker->token, own);
    return strcmp(own, text) == 0;
}

static bool is_descendant(pid_t pid, const struct worker *worker)
{
    char token[WIRE_TOKEN_TEXT_SIZE];

    return get_token(pid, token) && has_token(worker, token);
}

/* Processes that work for the broker. */
bool descendants_is_known(pid_t pid)
{
    return pid == runtime.keeper_pid || pid == runtime.old_keeper_pid || closer_is_pid(pid) ||
           aside_is_pid(pid) || receiver_is_pid(pid) || deputy_is_pid(pid) ||
           path_is_removal(pid) || pid == runtime.hook_pid || pid == runtime.lines_pid ||
           worker_find_by_pid(pid);
}

pid_t descendants_next_unknown(DIR *processes)
{
    pid_t pid;

    while ((pid = procfs_next(processes)) > 0)
        if (pid != getpid() && !descendants_is_known(pid))
            return pid;
    return 0;
}

/* A look for the heir of one worker. It takes as many turns as it needs, and goes on where the last
 * one has stopped. */
static struct {
    pid_t pid; /* of the worker that has ended; 0: no look is under way */
    uint32_t birth;
    struct procfs_list children;
    unsigned unseen; /* of the children */
    unsigned looks;  /* at all of them */
    bool is_hidden;
} heir;

static void list_children_again(void)
{
    procfs_list_children(getpid(), &heir.children);
    heir.unseen = heir.children.count;
    heir.is_hidden = !heir.children.is_whole;
    heir.looks++;
}

static void begin_heir_look(const struct worker *worker)
{
    if (heir.pid == worker->pid && heir.birth == worker->birth)
        return;
    heir.pid = worker->pid;
    heir.birth = worker->birth;
    heir.looks = 0;
    list_children_again();
}

static bool is_heir(pid_t pid, const struct worker *worker)
{
    if (descendants_is_known(pid) || procfs_parent(pid) != getpid())
        return false;
    if (is_descendant(pid, worker))
        return true;
    heir.is_hidden |= procfs_is_ending(pid);
    return false;
}

/* The newest first: an orphan has just become our child, however many there are. */
pid_t descendants_find(const struct worker *worker, enum descendants_look *left)
{
    pid_t found = 0;

    begin_heir_look(worker);
    *left = DESCENDANTS_UNSEEN;
    while (!found) {
        if (heir.unseen == 0 && (heir.is_hidden || heir.looks >= LOOKS_MAX))
            break;
        if (heir.unseen == 0)
            list_children_again();
        if (!turn_has_time())
            return 0;
        if (heir.unseen > 0 && is_heir(heir.children.at[--heir.unseen], worker))
            found = heir.children.at[heir.unseen];
    }
    *left = heir.is_hidden ? DESCENDANTS_LEFT : DESCENDANTS_NONE;
    heir.pid = 0;
    return found;
}

bool descendants_orphans_hold(ino_t ino)
{
    struct procfs_list children;

    procfs_list_children(getpid(), &children);
    for (unsigned i = 0; i < children.count; i++)
        if (!descendants_is_known(children.at[i]) && procfs_tree_holds_socket(children.at[i], ino))
            return true;
    return false;
}

static int find_in(const struct procfs_list *list, unsigned count, pid_t pid)
{
    while (count-- > 0)
        if (list->at[count] == pid)
            return (int)count;
    return -1;
}

/* The first servers on each path down from a process that is no server. */
static void signal_servers_below(pid_t root, int number)
{
    struct procfs_list tree;
    bool was_told[PROCFS_LIST_MAX] = {false}; /* it, or one above it */

    procfs_list_tree(root, &tree);
    for (unsigned i = 1; i < tree.count; i++) { /* parents come first */
        int parent = find_in(&tree, i, procfs_parent(tree.at[i]));
        was_told[i] = parent >= 0 && was_told[parent];
        if (was_told[i] || !glance_maps(tree.at[i], BOARD_FILE))
            continue;
        signal_process(tree.at[i], number);
        was_told[i] = true;
    }
}

void descendants_signal_servers(const struct worker *worker, int number)
{
    if (worker->pid > 0 && !glance_maps(worker->pid, BOARD_FILE))
        signal_servers_below(worker->pid, number);
    worker_signal(worker, number);
}

/* --- processes that ended workers have left --- */

/* A worker that has ended. Every process with its token is left of it. */
struct departed {
    struct descendants_record record;
    bool is_elsewhere; /* its orphans do not become our children */
    bool found;
    unsigned misses; /* looks in a row that found no process */
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
    /* pid 0: the broker was killed as it started the worker */
    descendants_add_record(&record, worker->pidfd_watch.fd >= 0 || worker->pid == 0);
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
    char token[WIRE_TOKEN_TEXT_SIZE];

    LIST_FOREACH(departed, &departed_workers, all) {
        wire_format_token(departed->record.token, token);
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

/* A look at all processes that may be left. It takes as many turns as it needs: their number is not
 * bounded. */
static struct {
    bool is_under_way;
    bool found;
    struct procfs_list children;
    unsigned unseen; /* of the children */
    DIR *others;     /* NULL: not asked for, or done */
} look;

static bool is_left(pid_t pid, struct departed **departed)
{
    char token[WIRE_TOKEN_TEXT_SIZE];

    if (descendants_is_known(pid) || !get_token(pid, token) || is_of_living(token))
        return false;
    *departed = find_departed(token);
    return true;
}

static void note_found(struct departed *departed)
{
    look.found = true;
    if (departed)
        departed->found = true;
}

/* A process without a record: we believed that none was left. */
static void look_at_child(pid_t pid, void (*visit)(pid_t pid, int64_t finish_by_ms))
{
    struct departed *departed = NULL;

    if (procfs_parent(pid) != getpid() || !is_left(pid, &departed))
        return;
    note_found(departed);
    visit(pid, departed ? departed->record.finish_by_ms : 0);
}

static void look_at_other(pid_t pid, void (*visit)(pid_t pid, int64_t finish_by_ms))
{
    struct departed *departed = NULL;

    if (pid == getpid() || !is_left(pid, &departed) || !departed || !departed->is_elsewhere)
        return;
    note_found(departed);
    visit(pid, departed->record.finish_by_ms);
}

static void begin_look(void)
{
    look.is_under_way = true;
    look.found = false;
    procfs_list_children(getpid(), &look.children);
    look.unseen = look.children.count;
    if (descendants_are_elsewhere())
        look.others = opendir("/proc");
}

static void end_look(void)
{
    look.is_under_way = false;
    if (look.children.is_whole) /* else some were not looked at */
        forget_those_done();
}

static void look_at_next_other(void (*visit)(pid_t pid, int64_t finish_by_ms))
{
    pid_t pid = procfs_next(look.others);

    if (pid) {
        look_at_other(pid, visit);
        return;
    }
    closedir(look.others);
    look.others = NULL;
}

enum descendants_look descendants_each_leftover(void (*visit)(pid_t pid, int64_t finish_by_ms))
{
    if (!look.is_under_way)
        begin_look();
    while ((look.unseen > 0 || look.others) && turn_has_time()) {
        if (look.unseen > 0)
            look_at_child(look.children.at[--look.unseen], visit);
        else
            look_at_next_other(visit);
    }
    if (look.unseen > 0 || look.others)
        return DESCENDANTS_UNSEEN;
    end_look();
    return look.found || !LIST_EMPTY(&departed_workers) ? DESCENDANTS_LEFT : DESCENDANTS_NONE;
}

void descendants_signal(pid_t pid, int number)
{
    char token[WIRE_TOKEN_TEXT_SIZE];

    if (procfs_parent(pid) == getpid()) { /* no other process gets the pid before we have waited */
        signal_process(pid, number);
        return;
    }
    int pid_fd = pidfd_open(pid, 0);
    if (pid_fd < 0)
        return;
    if (get_token(pid, token) && find_departed(token))
        pidfd_send_signal(pid_fd, number, NULL, 0);
    close(pid_fd);
}
