/*
 * wait_exclusive.h - the exclusive wait: an event loop without a connection waits on the canonical
 * socket as well as on its channel, while connections come fast (BOARD_WAIT_EXCLUSIVE).
 *
 * The shadow is registered in the program's epoll fd with EPOLLEXCLUSIVE, and the canonical socket
 * in the broker's, after it: the kernel wakes one loop that is in its wait, or else the broker. The
 * event carries a tag instead of the program's data and is translated before the program sees it
 * (wait_translate). epoll_fd is the program's throughout and is borrowed. Lock-free, thread-safe,
 * keeps errno.
 */
#ifndef SSHIM_SHIM_TAKE_WAIT_EXCLUSIVE_H
#define SSHIM_SHIM_TAKE_WAIT_EXCLUSIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "shim/record/vlisten.h"

/* Before a wait on epoll_fd, in which the listener is registered under the number set: begins or
 * ends. No system call where nothing changes. */
void wait_exclusive_consider(struct vlisten *listener, int epoll_fd, unsigned set);

/* Ends it; idempotent. */
void wait_exclusive_end(struct vlisten *listener);

/* Ends it for good: the record is to be freed. False: a thread that begins right now does that
 * instead of the caller, by vlisten_finish_release(). */
bool wait_exclusive_release(struct vlisten *listener);

/* A connection was taken: exclusive waits pay. */
void wait_exclusive_note_success(struct vlisten *listener);

/* The loop was woken for a connection that it should not take: ends the exclusive wait, and wakes
 * the broker. */
void wait_exclusive_yield(struct vlisten *listener);

/* The same for the process whose registration in this epoll fd it is. */
void wait_exclusive_yield_for(struct vlisten *listener, int epoll_fd);

/* The data of an event of ours. No pointer and no descriptor looks like this. */
#define WAIT_EXCLUSIVE_MARK UINT64_C(0xa77e4d5e00000000)
#define WAIT_EXCLUSIVE_MASK UINT64_C(0xffffffff00000000)

/* What the data of such an event tells: the listener, and the set. */
struct vlisten *wait_exclusive_read_mark(uint64_t data, unsigned *set);

/* An event for a registration that the program has removed: nothing of ours stays in epoll_fd. */
void wait_exclusive_remove(struct vlisten *listener, int epoll_fd);

/* pthread_atfork child: what the epoll fd holds is the parent's. */
void wait_exclusive_on_fork(void);

#endif
