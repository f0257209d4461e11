/*
 * evidence.h - what two copies of one server do to files and addresses, as their calls tell.
 * verdict.h says what the second one trips over.
 */
#ifndef SSHIM_OBSERVE_TRIAL_EVIDENCE_H
#define SSHIM_OBSERVE_TRIAL_EVIDENCE_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#include "observe/trial/tracer.h"

/* The copies, by their slots. */
#define FIRST 0
#define SECOND 1

/* A file, or an address with another name than "/...". */
struct thing {
    char name[PATH_MAX];
    bool writes[TRACER_COPIES];   /* has opened it for writing, or put another file in its place */
    bool appends[TRACER_COPIES];  /* each time with O_APPEND */
    bool replaces[TRACER_COPIES]; /* by rename(2) or link(2) */
    bool locks[TRACER_COPIES];    /* has had a lock on it, for writing */
    bool binds[TRACER_COPIES];
    bool exists, is_locked, is_in_use; /* is what the second copy was told */
    bool is_moved;                     /* to another name, once it was written */
    pid_t waits;                       /* a thread of the second copy, for a lock; 0: none */
    bool has_pid, is_database;
    int type; /* of a socket */
};

/* Paths below `folder` (kept) are ours, and not noted. */
void evidence_begin(const char *folder);

/* A call has begun or ended. */
void evidence_note(const struct tracer_call *call);

/* Looks into the files, before a copy that ends removes them. May be called again. */
void evidence_look(void);

/* In the order in which they were seen; NULL: there are no more. */
const struct thing *evidence_at(unsigned index);
const struct thing *evidence_find(const char *name);

#endif
