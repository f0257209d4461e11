/* socket_look.c - see socket_look.h. */
#include "broker/share/claim/socket_look.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "broker/base/loop.h"
#include "broker/base/process/procfs.h"
#include "broker/base/turn.h"
#include "broker/life/descendants.h"

#define LOOK_MAX_MS 10000 /* the asking process waits for its answer, see LINK_DEADLINE_S */
#define LEFT_MS 500       /* nobody goes on with it any more */

static struct {
    ino_t ino; /* 0: none is under way */
    int64_t begun_ms;
    int64_t moved_ms;
    DIR *processes; /* NULL: the worker's own were not all seen */
    pid_t pid;      /* of which not all was seen; 0: take the next one */
    int fd;         /* the first of its descriptors that was not */
} look;

static enum socket_look end_look(enum socket_look result)
{
    if (look.processes)
        closedir(look.processes);
    look.processes = NULL;
    look.ino = 0;
    look.pid = 0;
    look.fd = 0;
    return result;
}

/* False: another one is under way. */
static bool begin_or_go_on(ino_t ino)
{
    bool goes_on = look.ino == ino;

    if (look.ino && !goes_on && loop_now_ms() - look.moved_ms < LEFT_MS)
        return false;
    if (!goes_on) {
        end_look(SOCKET_LOOK_UNSEEN);
        look.ino = ino;
        look.begun_ms = loop_now_ms();
    }
    look.moved_ms = loop_now_ms();
    return true;
}

static bool visit_link(int fd, const char *link, void *context)
{
    bool *is_there = context;
    char wanted[48];

    (void)fd;
    snprintf(wanted, sizeof wanted, "socket:[%llu]", (unsigned long long)look.ino);
    *is_there = strcmp(link, wanted) == 0;
    return !*is_there;
}

static enum socket_look look_at_all(void)
{
    bool is_there = false;

    while (look.pid || (look.pid = descendants_next_unknown(look.processes)) > 0) {
        if (!turn_has_time() ||
            (!procfs_each_link_from(look.pid, &look.fd, visit_link, &is_there) && !is_there))
            return SOCKET_LOOK_UNSEEN;
        if (is_there)
            return SOCKET_LOOK_HELD;
        look.pid = 0;
        look.fd = 0;
    }
    return SOCKET_LOOK_FREE;
}

/* Its children and, if it is our child, the orphans, which are ours too. The tree of a child that
 * takes longer than a turn is the worker's own doing: no other look waits for it. */
static enum socket_look look_at_own(const struct worker *worker)
{
    bool is_child = worker->pidfd_watch.fd < 0;
    bool is_there = procfs_tree_holds_socket(worker->pid, look.ino) ||
                    (is_child && descendants_orphans_hold(look.ino));

    if (is_there && !is_child && !turn_has_time())
        return SOCKET_LOOK_UNSEEN;
    return is_there ? SOCKET_LOOK_HELD : SOCKET_LOOK_FREE;
}

enum socket_look socket_look(const struct worker *worker, ino_t ino)
{
    enum socket_look result = SOCKET_LOOK_FREE;

    if (!begin_or_go_on(ino))
        return SOCKET_LOOK_UNSEEN;
    if (!look.processes)
        result = look_at_own(worker);
    if (result == SOCKET_LOOK_FREE && worker->pidfd_watch.fd >= 0) {
        if (!look.processes) {
            turn_allow_more(); /* most need one turn */
            look.processes = opendir("/proc");
        }
        result = look.processes ? look_at_all() : SOCKET_LOOK_FREE;
    }
    if (result == SOCKET_LOOK_UNSEEN && loop_now_ms() - look.begun_ms >= LOOK_MAX_MS)
        result = SOCKET_LOOK_HELD;
    return result == SOCKET_LOOK_UNSEEN ? result : end_look(result);
}
