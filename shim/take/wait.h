/*
 * wait.h - notes in the scoreboard that a thread waits for a listener, while it is in poll, select,
 * epoll_wait or a blocking accept. A hint: only the broker's choice depends on it.
 *
 * Thread-safe. A thread that leaves a wait by siglongjmp(3) or from a nested signal handler is put
 * right at its next wait.
 */
#ifndef SSHIM_SHIM_TAKE_WAIT_H
#define SSHIM_SHIM_TAKE_WAIT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <time.h>

#include "shim/record/vlisten.h"

/* Raises `waiting` of each listener in the mask (bit = index); wakes the broker where connections
 * wait. */
void wait_begin(uint64_t listeners);

/* Lowers what wait_begin raised in this thread; keeps errno. */
void wait_end(void);

/* A thread came to wait for these, even if it returns at once: this server's waiting is visible. */
void wait_note_visit(uint64_t listeners);

/* Whether there is a listener that could be waited for, in which case the arguments of a wait are
 * worth a look. */
static inline bool wait_matters(void)
{
    return atomic_load_explicit(&vlisten_any, memory_order_relaxed);
}

/* A call that returns at once is no wait. A bad pointer is the kernel's to refuse. */
bool wait_has_time(const struct timespec *timeout);

/* The listeners that epoll_wait(2) waits for. */
uint64_t wait_mask_epoll(int epoll_fd);

/*
 * Before epoll_wait(epoll_fd, events, max, ...) blocks: what it may return at once, or 0 to go on.
 * A cancellation point.
 */
int wait_take_turn(uint64_t listeners, int epoll_fd, struct epoll_event *events, int max);

/*
 * What epoll_wait(epoll_fd, events, ...) gave, which waited for these listeners: events of ours
 * become what the program registered, and what is reported of a listener that blocks is announced,
 * or left out where nothing is there. Returns how many are left; 0 of some means that it is to wait
 * on.
 */
int wait_translate(uint64_t listeners, int epoll_fd, struct epoll_event *events, int count);

/* This thread accepted from the listener: is fd registered in the epoll fd it waited on last? */
void wait_learn(struct vlisten *listener, int fd);

/* This thread is about to accept: its last epoll_wait reported something, and fd turns out to be
 * registered there. */
bool wait_may_have_reported(struct vlisten *listener, int fd);

/* pthread_atfork child. */
void wait_on_fork(void);

#endif
