/*
 * usage.h - what processes use, read from /proc, see proc(5). Needs no rights; where /proc is
 * mounted with hidepid, other users' processes are not seen.
 */
#ifndef SSHIM_OBSERVE_USAGE_H
#define SSHIM_OBSERVE_USAGE_H

#include <stdbool.h>
#include <stdint.h>

struct usage {
    double cpu_s; /* of it, and of its children that were waited for */
    uint64_t resident_bytes;
    uint64_t virtual_bytes;
    double started_s; /* since the epoch */
};

/* Of one process. False: it is gone, or hidden. */
bool usage_read(int pid, struct usage *usage);

/* Of a process and all its descendants together. Pages that they share count once for each. */
bool usage_read_tree(int pid, struct usage *usage);

/* Open files of a process and the limit (0: not known; the number needs Linux 6.2). */
void usage_count_files(int pid, uint64_t *open_files, uint64_t *limit);

#endif
