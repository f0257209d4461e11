/*
 * surroundings.h - what a copy is started in, as --env, --clean-env, --chdir, --umask, --nice,
 * --rlimit and --cpus say, and which step of a start has failed. The functions that apply an option
 * are called in the new process, between fork and exec: that has one thread, so it may allocate,
 * and what it allocates ends with exec.
 */
#ifndef SSHIM_BROKER_LIFE_LAUNCH_SURROUNDINGS_H
#define SSHIM_BROKER_LIFE_LAUNCH_SURROUNDINGS_H

#include <stdbool.h>
#include <stddef.h>

#include "broker/pool/worker.h"

enum launch_step {
    LAUNCH_EXEC,
    LAUNCH_LIBRARY, /* reading it as the workers' user */
    LAUNCH_USER,
    LAUNCH_FILTER,
    LAUNCH_LIMIT, /* .item: which of them */
    LAUNCH_NICE,
    LAUNCH_CPUS,
    LAUNCH_CHDIR
};

/* "--chdir /srv/7: No such file or directory", in that slot. */
void launch_describe(const struct launch_failure *failure, unsigned slot, char *text, size_t size);

/* The program of this worker could not be run at all: one line that says why and what the operator
 * can do. What the broker exits with for it. */
int launch_tell_failure(const struct worker *worker);

/* A copy of text with {id} replaced, on the heap; ends the process if there is no memory. */
char *launch_expand(const char *text, unsigned slot);

/* --clean-env and --env. */
void launch_set_environment(unsigned slot);

/* What takes the broker's rights: limits, niceness, cores. False: *failure says which. */
bool launch_set_limits(unsigned slot, struct launch_failure *failure);

/* What the workers' user may do: umask and folder. The same contract. */
bool launch_set_place(unsigned slot, struct launch_failure *failure);

#endif
