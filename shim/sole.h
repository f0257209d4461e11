/*
 * sole.h - a copy that is the only one (BOARD_SOLE) sees what the kernel would show: a connection
 * that is in the backlog, or in the broker's hands, is at the listener already. Natively it is
 * there when connect() returns, and a program that connects to itself may rely on that.
 *
 * Lock-free, async-signal-safe, keeps errno. fd is the program's, borrowed.
 */
#ifndef SSHIM_SHIM_SOLE_H
#define SSHIM_SHIM_SOLE_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/select.h>

#include "shim/vlisten.h"

/* Whether this process ever was a sole copy: without that there is nothing to complete. */
extern _Atomic bool sole_any;

static inline bool sole_is_possible(void)
{
    return atomic_load_explicit(&sole_any, memory_order_relaxed);
}

/* A board was mapped. */
void sole_note(struct vlisten *listener);

/* The channel is empty: whether accept() has to look further. */
bool sole_is_concerned(struct vlisten *listener);

/* Around an accept4 on the canonical socket; the broker leaves it alone meanwhile. False: something
 * older is on its way, or may be (*gave_way). */
bool sole_begin_take(struct vlisten *listener, bool *gave_way);
void sole_end_take(struct vlisten *listener);

/* Nothing was there: whether to look once more. Waits for the broker, some milliseconds at most,
 * while that is about to send a connection. */
bool sole_await(struct vlisten *listener, int fd, bool gave_way);

/* Whether accept() would find a connection though the channel was empty a moment ago. */
bool sole_has_connection(struct vlisten *listener, int fd);

/* What poll(2) and select(2) gave, and what they give with the listeners that have a connection.
 * For select those that were in the set, bit = index. */
int sole_complete_poll(struct pollfd *fds, nfds_t count, int ready);
int sole_complete_select(uint64_t listeners, fd_set *readable, int ready);

#endif
