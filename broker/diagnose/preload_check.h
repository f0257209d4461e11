/*
 * preload_check.h - whether the library is loaded in the processes of a running worker: check.h
 * cannot know that from a file. A snapshot of /proc; reports, decides nothing.
 */
#ifndef SSHIM_BROKER_DIAGNOSE_PRELOAD_CHECK_H
#define SSHIM_BROKER_DIAGNOSE_PRELOAD_CHECK_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#include "broker/diagnose/check.h"

struct preload_check_report {
    char listens_on[256]; /* what the worker's processes listen on by themselves, "" = nothing */

    bool is_cut; /* this turn of the loop had no time for all: look again soon */

    /* When the library is missing: */
    pid_t pid;                 /* of the process that lacks it */
    struct check_report check; /* its program's file and the reason, with what to do */
};

/*
 * Looks at a process and its descendants. True: one of them serves without the library, or none
 * will ever have it. With `last` also true if none has it yet and one may still come.
 */
bool preload_check_is_missing(pid_t root, bool last, struct preload_check_report *report);

/*
 * For a worker whose library has asked about no address: whether a process of it listens on a fixed
 * port all the same. It has the library and calls past it.
 */
bool preload_check_is_past(pid_t root, struct preload_check_report *report);

#endif
