/*
 * failure.h - explains a failed call to the operator: cause and remedy, in words. Reads files and
 * /proc only after a failure.
 */
#ifndef SSHIM_BROKER_DIAGNOSE_FAILURE_H
#define SSHIM_BROKER_DIAGNOSE_FAILURE_H

#include <stdbool.h>
#include <stddef.h>

#include "broker/base/address.h"

/* One line for a bind(2) that failed with this errno; of the same address only once in a row.
 * False: that was told. */
bool failure_tell_bind(const struct address *address, int error);

/* One line for an execvp(3) of this program that failed with this errno. */
void failure_tell_exec(const char *program, int error);

/* One line, once, about a signal by which a worker ended, if there is more to say than its name. */
void failure_tell_signal(unsigned slot, int number);

#endif
