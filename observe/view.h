/*
 * view.h - what `sshim top` shows: the last status document of a broker, and what has changed since
 * the one before.
 */
#ifndef SSHIM_OBSERVE_VIEW_H
#define SSHIM_OBSERVE_VIEW_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "observe/usage.h"

struct view_worker {
    int slot, pid;
    char state[16];
    bool is_current; /* its slot's own; else it drains, or is about to take over */
    double accepted;
    double rate; /* accepted in a second */
    double open;
    double cpu_percent; /* of one core */
    uint64_t resident_bytes;
    double busy_percent; /* in how many of the last looks it was busy */
    double restarts;
    double uptime_s;
    double cpu_s;         /* so far */
    uint32_t busy_looks;  /* the last ones, a bit each */
    unsigned looks_count; /* at most 32 */
};

struct view_listener {
    char address[64];
    double rate, connections, queued, limit, recalled, lost;
    double held, closed; /* by the broker */
    double waited_ms;
    double all_busy_percent;
};

struct view {
    char name[64], state[16];
    int pid;
    double ready, wanted, uptime_s;
    double at_s; /* when it was asked for, CLOCK_MONOTONIC */
    struct view_worker *workers;
    size_t workers_count;
    struct view_listener *listeners;
    size_t listeners_count;
};

/* A new view of this document; before is the last one, NULL at first. NULL when memory is out. */
struct view *view_create(const json_t *status, const struct view *before);
void view_destroy(struct view *view);

#define VIEW_SORTS(X)                                                                              \
    X(SLOT, "slot") X(RATE, "rate") X(OPEN, "open") X(CPU, "CPU") X(MEMORY, "memory")

enum view_sort {
#define X(name, text) VIEW_SORT_##name,
    VIEW_SORTS(X)
#undef X
};
#define VIEW_SORTS_COUNT 5

const char *view_sort_name(enum view_sort sort);

/* By slot upward, by all else downward. */
void view_sort_workers(struct view *view, enum view_sort sort);

#endif
