/*
 * polling.h - around poll(2) and select(2), by whatever name or number the program calls them: the
 * hint that this thread waits, a connection past the broker (turn.h), and a look whether what was
 * reported is still there (announce.h). Where it is not, the wait goes on (rounds.h).
 *
 * Thread-safe, lock-free. Cancellation points.
 */
#ifndef SSHIM_SHIM_TAKE_POLLING_H
#define SSHIM_SHIM_TAKE_POLLING_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/select.h>

#include "shim/take/rounds.h"

struct raw_arguments; /* hooks.h */

/* What both have. */
struct waiting {
    /* Makes the call, for what is left of its time. */
    int (*call)(struct waiting *waiting);
    enum { IN_MS, IN_TIMESPEC, IN_TIMEVAL } unit;
    int timeout_ms;
    const struct timespec *timeout; /* NULL: for ever; may be a pointer that the kernel refuses */
    struct timeval *timeval;        /* the same */
    const sigset_t *mask;
    long number; /* of syscall(2), with its arguments */
    const struct raw_arguments *arguments;
    /* Of polling.c: */
    struct rounds rounds;
    uint64_t listeners;
    bool may_block;
};

struct polling {
    struct waiting waiting; /* comes first */
    struct pollfd *fds;
    nfds_t count;
    size_t size_bytes; /* of fds, for the calls that check it */
};

struct selecting {
    struct waiting waiting; /* comes first */
    int count;
    fd_set *readable, *writable, *urgent;
};

/* The listeners that these calls wait for (bit = index). */
uint64_t polling_mask_poll(const struct pollfd *fds, nfds_t count);
uint64_t polling_mask_select(int count, const fd_set *readable);

/* What the call returns, with its errno. */
int polling_poll(struct polling *polling);
int polling_select(struct selecting *selecting);

#endif
