/*
 * parse.h - the values of options as text: numbers, sizes, times, limits, lists of processors.
 * False: the text is none of the kind; what the pointer names is then not to be used. Thread-safe.
 */
#ifndef SSHIM_BROKER_BASE_OPTIONS_PARSE_H
#define SSHIM_BROKER_BASE_OPTIONS_PARSE_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>

#define DAY_S 86400

/* A whole decimal number from min to max; no sign, no spaces. */
bool option_parse_number(const char *text, unsigned min, unsigned max, unsigned *value);

/* Bytes: a number, perhaps with K, M, G or T behind it, which are powers of 1024. */
bool option_parse_size(const char *text, uint64_t *bytes);

/* Seconds: a number, perhaps with s, m, h or d behind it; at most UINT_MAX. */
bool option_parse_duration(const char *text, unsigned *seconds);

/* NAME=SOFT or NAME=SOFT:HARD, sizes or "unlimited"; the names are those of getrlimit(2) in small
 * letters, without RLIMIT_. */
bool option_parse_limit(const char *text, int *resource, struct rlimit *limit);

/* "0-3,6" */
bool option_parse_cpus(const char *text, cpu_set_t *cpus);

#endif
