/*
 * glance.h - reads the memory of an untrusted process: its environment, and what is mapped into
 * it. By a helper, since that may block, see aside.h. At most the first mebibyte of each is looked
 * at. False also where the process is gone or may not be looked at.
 */
#ifndef SSHIM_BROKER_BASE_PROCESS_GLANCE_H
#define SSHIM_BROKER_BASE_PROCESS_GLANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Copies what NAME was in the environment it was started with, cut to size; false: it was not
 * there. */
bool glance_get_environment(pid_t pid, const char *name, char *value, size_t size);

/* Whether a file of this name is mapped into it. */
bool glance_maps(pid_t pid, const char *file_name);

/* What follows prefix in the name of a file that is mapped into it, cut to size, up to the end of
 * the line; false: none has it. */
bool glance_get_mapped_name(pid_t pid, const char *prefix, char *rest, size_t size);

#endif
