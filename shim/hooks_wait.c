/* hooks_wait.c - the exported waiting calls: two stores around the real call, for the hint. Only
 * epoll_wait(2) may tell of a connection by itself, see wait_take_turn() and attend.h. */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#include "hooks.h"
#include "next.h"
#include "sole.h"
#include "userptr.h"
#include "vlisten.h"
#include "wait.h"

/* glibc declares poll's array write-only; the events in it are read. clang has no such warning. */
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

/* Whether there is a listener that could be waited for, in which case the arguments are worth a
 * look. */
static bool matters(void)
{
    return atomic_load_explicit(&vlisten_any, memory_order_relaxed);
}

/* A call that returns at once is no wait. A bad pointer is the kernel's to refuse. */
static bool has_time(const struct timespec *timeout)
{
    if (!timeout)
        return true;
    return userptr_is_readable(timeout, sizeof *timeout, USERPTR_TIMEOUT) &&
           (timeout->tv_sec != 0 || timeout->tv_nsec != 0);
}

/* complete makes what a sole copy is told of `ready`, what the call gave, and `waited`. */
#define WAITING(may_block, listeners, call, complete)                                              \
    do {                                                                                           \
        bool visibly_ = matters() && (may_block);                                                  \
        uint64_t waited = visibly_ || sole_is_possible() ? (listeners) : 0;                        \
        if (!waited)                                                                               \
            return (call);                                                                         \
        if (visibly_)                                                                              \
            wait_begin(waited);                                                                    \
        int ready = (call);                                                                        \
        if (visibly_)                                                                              \
            wait_end();                                                                            \
        return sole_is_possible() ? (complete) : ready;                                            \
    } while (0)

#define POLLING(may_block, call)                                                                   \
    WAITING(may_block, wait_mask_poll(fds, count), call, sole_complete_poll(fds, count, ready))

#define SELECTING(may_block, call)                                                                 \
    WAITING(may_block, wait_mask_select(count, readable), call,                                    \
            sole_complete_select(waited, readable, ready))

SSHIM_EXPORT int poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
    POLLING(timeout_ms != 0, NEXT(poll)(fds, count, timeout_ms));
}

SSHIM_EXPORT int __poll_chk(struct pollfd *fds, nfds_t count, int timeout_ms, size_t size_bytes)
{
    POLLING(timeout_ms != 0, NEXT(__poll_chk)(fds, count, timeout_ms, size_bytes));
}

SSHIM_EXPORT int ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
                       const sigset_t *mask)
{
    POLLING(has_time(timeout), NEXT(ppoll)(fds, count, timeout, mask));
}

SSHIM_EXPORT int __ppoll_chk(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
                             const sigset_t *mask, size_t size_bytes)
{
    POLLING(has_time(timeout), NEXT(__ppoll_chk)(fds, count, timeout, mask, size_bytes));
}

SSHIM_EXPORT int select(int count, fd_set *restrict readable, fd_set *restrict writable,
                        fd_set *restrict urgent, struct timeval *restrict timeout)
{
    /* a timeval and a timespec are two longs each; only whether they are 0 is asked */
    SELECTING(has_time((const struct timespec *)(const void *)timeout),
              NEXT(select)(count, readable, writable, urgent, timeout));
}

SSHIM_EXPORT int pselect(int count, fd_set *restrict readable, fd_set *restrict writable,
                         fd_set *restrict urgent, const struct timespec *restrict timeout,
                         const sigset_t *restrict mask)
{
    SELECTING(has_time(timeout), NEXT(pselect)(count, readable, writable, urgent, timeout, mask));
}

SSHIM_EXPORT int epoll_ctl(int epoll_fd, int operation, int fd, struct epoll_event *event)
{
    int result = NEXT(epoll_ctl)(epoll_fd, operation, fd, event);

    if (result == 0 && matters())
        wait_note_epoll_ctl(epoll_fd, operation, fd, event);
    return result;
}

/* An event that is not for the program does not end its wait. */
#define WAITING_EPOLL(listeners, call)                                                             \
    do {                                                                                           \
        uint64_t mask_ = (listeners);                                                              \
        int result_;                                                                               \
        do {                                                                                       \
            if (mask_)                                                                             \
                wait_begin(mask_);                                                                 \
            result_ = (call);                                                                      \
            if (mask_)                                                                             \
                wait_end();                                                                        \
        } while (result_ > 0 && (result_ = wait_translate(epoll_fd, events, result_)) == 0);       \
        return sole_is_possible() ? wait_complete_epoll(epoll_fd, events, result_, max) : result_; \
    } while (0)

SSHIM_EXPORT int epoll_wait(int epoll_fd, struct epoll_event *events, int max, int timeout_ms)
{
    uint64_t listeners = matters() && timeout_ms != 0 ? wait_mask_epoll(epoll_fd) : 0;
    int ready = wait_take_turn(listeners, epoll_fd, events, max);

    if (ready != 0)
        return ready;
    WAITING_EPOLL(listeners, NEXT(epoll_wait)(epoll_fd, events, max, timeout_ms));
}

SSHIM_EXPORT int epoll_pwait(int epoll_fd, struct epoll_event *events, int max, int timeout_ms,
                             const sigset_t *mask)
{
    uint64_t listeners = matters() && timeout_ms != 0 ? wait_mask_epoll(epoll_fd) : 0;
    /* a signal mask is the kernel's business: it may let a pending signal in */
    int ready = mask ? 0 : wait_take_turn(listeners, epoll_fd, events, max);

    if (ready != 0)
        return ready;
    WAITING_EPOLL(listeners, NEXT(epoll_pwait)(epoll_fd, events, max, timeout_ms, mask));
}

SSHIM_EXPORT int epoll_pwait2(int epoll_fd, struct epoll_event *events, int max,
                              const struct timespec *timeout, const sigset_t *mask)
{
    WAITING_EPOLL(matters() && has_time(timeout) ? wait_mask_epoll(epoll_fd) : 0,
                  NEXT(epoll_pwait2)(epoll_fd, events, max, timeout, mask));
}
