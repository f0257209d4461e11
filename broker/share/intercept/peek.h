/*
 * peek.h - reads the memory of a process that may be hostile. A page of it may be of a file system
 * that never answers, and no signal but KILL ends a call that waits for that: a helper process
 * reads.
 */
#ifndef SSHIM_BROKER_SHARE_INTERCEPT_PEEK_H
#define SSHIM_BROKER_SHARE_INTERCEPT_PEEK_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "broker/base/loop.h"

#define PEEK_MAX 128

struct peek;

/* got: so many bytes are in peek->bytes, or -1: that memory cannot be read. May begin the next one,
 * or free what the peek is in. */
typedef void peek_done(struct peek *peek, ssize_t got);

struct peek {
    struct loop_fd watch; /* .fd keeps; -1: none is under way */
    struct loop_timer deadline;
    int write_fd; /* keeps; the helper's */
    pid_t helper;
    peek_done *on_done;
    uint8_t bytes[PEEK_MAX];
};

void peek_init(struct peek *peek);

/* Reads at most PEEK_MAX bytes of the thread's memory. 0, or -1 with the errno of pipe2(2),
 * clone(2) or epoll_ctl(2); on_done is called later, after a second at most. */
int peek_begin(struct peek *peek, pid_t thread, uint64_t address, size_t len, peek_done *on_done);

/* on_done is not called any more. */
void peek_cancel(struct peek *peek);

#endif
