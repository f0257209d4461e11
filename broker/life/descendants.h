/*
 * descendants.h - finds the worker of a process that became our child when its parent ended
 * (PR_SET_CHILD_SUBREAPER).
 *
 * The token in the environment names the worker. A program that writes a title over its
 * environment, as setproctitle does, still has the file mapped that the library has named after the
 * token. After a crash of the broker orphans do not become our children: they are searched among
 * all processes.
 */
#ifndef SSHIM_BROKER_LIFE_DESCENDANTS_H
#define SSHIM_BROKER_LIFE_DESCENDANTS_H

#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "broker/pool/worker.h"

/* Whether it is the keeper, or the process of a worker. */
bool descendants_is_known(pid_t pid);

/* The next process of /proc, which opendir(3) has opened, that is neither this one nor known: it
 * may be one that a worker has left. 0: there is none. */
pid_t descendants_next_unknown(DIR *processes);

enum descendants_look {
    DESCENDANTS_UNSEEN, /* the turn has no time for all: go on in another one */
    DESCENDANTS_LEFT,   /* look again after a while */
    DESCENDANTS_NONE,
};

/*
 * A process of this worker, which has just ended, that may go on in its place, or 0. Then *left
 * says whether to call again: DESCENDANTS_UNSEEN, in another turn, where this one has stopped;
 * DESCENDANTS_LEFT, since a process that is just ending may hide one.
 */
pid_t descendants_find(const struct worker *worker, enum descendants_look *left);

/* Whether a process that has left its parents, and is our child now, or one below it has the socket
 * with this inode; also true if the turn has no time to look. */
bool descendants_orphans_hold(ino_t ino);

/*
 * Sends the signal to the worker's process. If that is no server but has started one (a shell that
 * does not exec, bwrap), also to the first servers below it. A server passes the signal on to its
 * children, as natively.
 */
void descendants_signal_servers(const struct worker *worker, int number);

/* What must survive a crash of the broker, of a worker that has ended. */
struct descendants_record {
    uint8_t token[WIRE_TOKEN_SIZE];
    int64_t finish_by_ms; /* its remaining processes may serve their connections until then, see
                             loop.h */
};

/* The worker has ended: processes with its token are left of it. If it was no child of ours, its
 * orphans are none either, and are searched among all processes. */
void descendants_note_end(const struct worker *worker, int64_t finish_by_ms);
void descendants_add_record(const struct descendants_record *record, bool is_elsewhere);
void descendants_each_record(void (*visit)(const struct descendants_record *record, void *context),
                             void *context);

/* Calls visit for each process that is left of an ended worker. */
enum descendants_look descendants_each_leftover(void (*visit)(pid_t pid, int64_t finish_by_ms));

/* Whether there may be such processes that are no children of ours. */
bool descendants_are_elsewhere(void);

/* Sends a signal to a process that each_leftover has found, and not to a later one with its pid. */
void descendants_signal(pid_t pid, int number);

#endif
