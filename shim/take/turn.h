/*
 * turn.h - poll(2) and select(2) may report a connection past the broker, as wait_take_turn() does
 * for epoll_wait(2): the program is about to wait, has nothing else to do, and a connection is in
 * the backlog. The accept(2) that follows takes it from the canonical socket; another process may
 * be faster, so only listeners that do not block are reported.
 *
 * One system call, which looks at the program's descriptors and at the canonical sockets together;
 * none where no connection is to be expected. Thread-safe, lock-free. Cancellation points.
 */
#ifndef SSHIM_SHIM_TAKE_TURN_H
#define SSHIM_SHIM_TAKE_TURN_H

#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/select.h>

#define TURN_FDS 32 /* poll(2) with more descriptors asks the broker */

/* The bytes of a set of select(2) that the kernel reads and writes: whole words. */
static inline size_t turn_set_size(int count)
{
    return ((size_t)count + NFDBITS - 1) / NFDBITS * sizeof(fd_mask);
}

/*
 * The program waits for these listeners (bit = index) and may block. Returns what poll(2) may
 * return at once, or 0: it is to wait, and what is in revents says nothing. -1 with EINTR. The
 * caller has looked at the pointers, as polling_mask_poll() does.
 */
int turn_poll(uint64_t listeners, struct pollfd *fds, nfds_t count);

/* The same for select(2), count at most FD_SETSIZE. Any set may be NULL; at 0 none was written. */
int turn_select(uint64_t listeners, int count, fd_set *readable, fd_set *writable, fd_set *urgent);

#endif
