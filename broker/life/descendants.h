/*
 * descendants.h - whose are the processes that were given to us when their parent ended
 * (PR_SET_CHILD_SUBREAPER).
 *
 * The token in the environment tells. A program that writes a title over its environment, as
 * setproctitle does, still has the file mapped that the library has named after the token. After a
 * crash of the broker its processes are not given to us any more, and are looked for everywhere.
 */
#ifndef SSHIM_BROKER_LIFE_DESCENDANTS_H
#define SSHIM_BROKER_LIFE_DESCENDANTS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "broker/pool/worker.h"

/* Whether it is the keeper, or the process of a worker. */
bool descendants_is_known(pid_t pid);

/* A process of this worker, which has just ended, that may go on in its place, or 0. */
pid_t descendants_find(const struct worker *worker);

/*
 * Sends it to the worker's process and, where that is no server but has started one (a shell that
 * does not exec, bwrap), to the first processes below it that are. Children of a server hear of it
 * by their parent, as natively.
 */
void descendants_signal_servers(const struct worker *worker, int number);

/* What a crash of the broker must not forget of a worker that has ended. */
struct descendants_record {
    uint8_t token[WIRE_TOKEN_SIZE];
    int64_t finish_by_ms; /* what it has left may serve what it has until then, see loop.h */
};

/* The worker has ended: what carries its token is left of it. Where it was no child of ours,
 * neither are those, and they are looked for among all processes. */
void descendants_note_end(const struct worker *worker, int64_t finish_by_ms);
void descendants_add_record(const struct descendants_record *record, bool is_elsewhere);
void descendants_each_record(void (*visit)(const struct descendants_record *record, void *context),
                             void *context);

enum descendants_look {
    DESCENDANTS_UNSEEN, /* the turn has no time for all: go on in another one */
    DESCENDANTS_LEFT,   /* look again after a while */
    DESCENDANTS_NONE,
};

/* Calls visit for each process that is left of a worker that is no more. */
enum descendants_look descendants_each_leftover(void (*visit)(pid_t pid, int64_t finish_by_ms));

/* Whether there may be such processes that are no children of ours. */
bool descendants_are_elsewhere(void);

/* Sends it to a process that each_leftover has found, and to no other that has got its pid. */
void descendants_signal(pid_t pid, int number);

#endif
