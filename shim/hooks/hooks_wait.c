/* hooks_wait.c - the exported waiting calls, by name and by number: two stores around the real
 * call, for the hint. Only epoll_wait(2) may tell of a connection by itself, see wait_take_turn()
 * and wait_exclusive.h. */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>

#include "shim/base/next.h"
#include "shim/hooks/hooks.h"
#include "shim/take/epoll_set.h"
#include "shim/take/polling.h"
#include "shim/take/rounds.h"
#include "shim/take/wait.h"

SSHIM_EXPORT int epoll_ctl(int epoll_fd, int operation, int fd, struct epoll_event *event)
{
    return epoll_set_control(epoll_fd, operation, fdmap_shown(fd), event);
}

/* --- poll and select --- */

static int call_poll(struct waiting *waiting)
{
    const struct polling *p = (struct polling *)waiting;

    return NEXT(poll)(p->fds, p->count, rounds_left_ms(&waiting->rounds, waiting->timeout_ms));
}

SSHIM_EXPORT int poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
    return polling_poll(
        &(struct polling){{.call = call_poll, .timeout_ms = timeout_ms}, fds, count, 0});
}

static int call_poll_chk(struct waiting *waiting)
{
    const struct polling *p = (struct polling *)waiting;

    return NEXT(__poll_chk)(p->fds, p->count, rounds_left_ms(&waiting->rounds, waiting->timeout_ms),
                            p->size_bytes);
}

SSHIM_EXPORT int __poll_chk(struct pollfd *fds, nfds_t count, int timeout_ms, size_t size_bytes)
{
    return polling_poll(&(struct polling){
        {.call = call_poll_chk, .timeout_ms = timeout_ms}, fds, count, size_bytes});
}

static int call_ppoll(struct waiting *waiting)
{
    const struct polling *p = (struct polling *)waiting;
    struct timespec left;

    return NEXT(ppoll)(p->fds, p->count, rounds_left(&waiting->rounds, waiting->timeout, &left),
                       waiting->mask);
}

SSHIM_EXPORT int ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
                       const sigset_t *mask)
{
    return polling_poll(&(struct polling){
        {.call = call_ppoll, .unit = IN_TIMESPEC, .timeout = timeout, .mask = mask},
        fds,
        count,
        0});
}

static int call_ppoll_chk(struct waiting *waiting)
{
    const struct polling *p = (struct polling *)waiting;
    struct timespec left;

    return NEXT(__ppoll_chk)(p->fds, p->count,
                             rounds_left(&waiting->rounds, waiting->timeout, &left), waiting->mask,
                             p->size_bytes);
}

SSHIM_EXPORT int __ppoll_chk(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
                             const sigset_t *mask, size_t size_bytes)
{
    return polling_poll(&(struct polling){
        {.call = call_ppoll_chk, .unit = IN_TIMESPEC, .timeout = timeout, .mask = mask},
        fds,
        count,
        size_bytes});
}

static int call_select(struct waiting *waiting)
{
    const struct selecting *s = (struct selecting *)waiting;

    return NEXT(select)(s->count, s->readable, s->writable, s->urgent,
                        rounds_left_timeval(&waiting->rounds, waiting->timeval));
}

SSHIM_EXPORT int select(int count, fd_set *restrict readable, fd_set *restrict writable,
                        fd_set *restrict urgent, struct timeval *restrict timeout)
{
    return polling_select(
        &(struct selecting){{.call = call_select, .unit = IN_TIMEVAL, .timeval = timeout},
                            count,
                            readable,
                            writable,
                            urgent});
}

static int call_pselect(struct waiting *waiting)
{
    const struct selecting *s = (struct selecting *)waiting;
    struct timespec left;

    return NEXT(pselect)(s->count, s->readable, s->writable, s->urgent,
                         rounds_left(&waiting->rounds, waiting->timeout, &left), waiting->mask);
}

SSHIM_EXPORT int pselect(int count, fd_set *restrict readable, fd_set *restrict writable,
                         fd_set *restrict urgent, const struct timespec *restrict timeout,
                         const sigset_t *restrict mask)
{
    return polling_select(&(struct selecting){
        {.call = call_pselect, .unit = IN_TIMESPEC, .timeout = timeout, .mask = mask},
        count,
        readable,
        writable,
        urgent});
}

/* --- epoll --- */

/* The names of the call's parameters are those of its callers. */
#define WAITING_EPOLL(may_block, listeners, timeout_ns, mask, call)                                \
    do {                                                                                           \
        uint64_t mask_ = (listeners);                                                              \
        bool visibly_ = mask_ && (may_block);                                                      \
        int result_;                                                                               \
        do {                                                                                       \
            if (visibly_)                                                                          \
                wait_begin(mask_);                                                                 \
            result_ = (call);                                                                      \
            if (visibly_)                                                                          \
                wait_end();                                                                        \
        } while (result_ > 0 &&                                                                    \
                 (result_ = wait_translate(mask_, epoll_fd, events, result_)) == 0 &&              \
                 (result_ = rounds_begin(&rounds, (timeout_ns), (mask))) > 0);                     \
        return result_;                                                                            \
    } while (0)

/* The listeners that are waited for in this epoll fd. */
static uint64_t listeners_of(int epoll_fd)
{
    return wait_matters() ? wait_mask_epoll(epoll_fd) : 0;
}

SSHIM_EXPORT int epoll_wait(int epoll_fd, struct epoll_event *events, int max, int timeout_ms)
{
    struct rounds rounds = {0};
    uint64_t listeners = listeners_of(epoll_fd);
    int ready = timeout_ms == 0 ? 0 : wait_take_turn(listeners, epoll_fd, events, max);

    if (ready != 0)
        return ready;
    WAITING_EPOLL(timeout_ms != 0, listeners, rounds_ns_of_ms(timeout_ms), NULL,
                  NEXT(epoll_wait)(epoll_fd, events, max, rounds_left_ms(&rounds, timeout_ms)));
}

SSHIM_EXPORT int epoll_pwait(int epoll_fd, struct epoll_event *events, int max, int timeout_ms,
                             const sigset_t *mask)
{
    struct rounds rounds = {0};
    uint64_t listeners = listeners_of(epoll_fd);
    /* a signal mask is the kernel's business: it may let a pending signal in */
    int ready = mask || timeout_ms == 0 ? 0 : wait_take_turn(listeners, epoll_fd, events, max);

    if (ready != 0)
        return ready;
    WAITING_EPOLL(
        timeout_ms != 0, listeners, rounds_ns_of_ms(timeout_ms), mask,
        NEXT(epoll_pwait)(epoll_fd, events, max, rounds_left_ms(&rounds, timeout_ms), mask));
}

SSHIM_EXPORT int epoll_pwait2(int epoll_fd, struct epoll_event *events, int max,
                              const struct timespec *timeout, const sigset_t *mask)
{
    struct rounds rounds = {0};
    struct timespec left;

    WAITING_EPOLL(
        wait_has_time(timeout), listeners_of(epoll_fd), rounds_ns_of(timeout), mask,
        NEXT(epoll_pwait2)(epoll_fd, events, max, rounds_left(&rounds, timeout, &left), mask));
}

/* --- by number --- */

static int call_number(struct waiting *waiting)
{
    return (int)raw_call(waiting->number, waiting->arguments);
}

#ifdef SYS_poll
static int call_poll_number(struct waiting *waiting)
{
    struct raw_arguments a = *waiting->arguments;

    a.at[2] = rounds_left_ms(&waiting->rounds, waiting->timeout_ms);
    return (int)raw_call(waiting->number, &a);
}

static long poll_raw(long number, const struct raw_arguments *a)
{
    return polling_poll(&(struct polling){
        {.call = call_poll_number, .timeout_ms = (int)a->at[2], .number = number, .arguments = a},
        (struct pollfd *)a->at[0],
        (nfds_t)a->at[1],
        0});
}
#endif

/* These calls themselves write into their time-out what is left of it. */
static long ppoll_raw(long number, const struct raw_arguments *a)
{
    return polling_poll(&(struct polling){{.call = call_number,
                                           .unit = IN_TIMESPEC,
                                           .timeout = (const struct timespec *)a->at[2],
                                           .number = number,
                                           .arguments = a},
                                          (struct pollfd *)a->at[0],
                                          (nfds_t)a->at[1],
                                          0});
}

static long select_raw(long number, const struct raw_arguments *a, bool in_us)
{
    struct selecting selecting = {
        {.call = call_number, .number = number, .arguments = a},
        (int)a->at[0],
        (fd_set *)a->at[1],
        (fd_set *)a->at[2],
        (fd_set *)a->at[3],
    };

    selecting.waiting.unit = in_us ? IN_TIMEVAL : IN_TIMESPEC;
    selecting.waiting.timeval = (struct timeval *)a->at[4];
    selecting.waiting.timeout = (const struct timespec *)a->at[4];
    return polling_select(&selecting);
}

/* timeout_ms or timeout is the fourth argument. */
static long epoll_raw(long number, const struct raw_arguments *given, bool in_ms)
{
    struct rounds rounds = {0};
    struct raw_arguments a = *given;
    struct timespec left;
    int epoll_fd = (int)a.at[0], timeout_ms = (int)a.at[3];
    struct epoll_event *events = (struct epoll_event *)a.at[1];
    const struct timespec *timeout = in_ms ? NULL : (const struct timespec *)given->at[3];
    bool waits = in_ms ? timeout_ms != 0 : wait_has_time(timeout);

    WAITING_EPOLL(waits, listeners_of(epoll_fd),
                  in_ms ? rounds_ns_of_ms(timeout_ms) : rounds_ns_of(timeout), NULL,
                  (a.at[3] = in_ms ? rounds_left_ms(&rounds, timeout_ms)
                                   : (long)rounds_left(&rounds, timeout, &left),
                   (int)raw_call(number, &a)));
}

long wait_by_number(long number, const struct raw_arguments *a, int *known)
{
    *known = wait_matters();
    switch (*known ? number : -1) {
#ifdef SYS_poll
    case SYS_poll: return poll_raw(number, a);
#endif
    case SYS_ppoll: return ppoll_raw(number, a);
#ifdef SYS_select
    case SYS_select: return select_raw(number, a, true);
#endif
    case SYS_pselect6: return select_raw(number, a, false);
#ifdef SYS_epoll_wait
    case SYS_epoll_wait:
#endif
    case SYS_epoll_pwait: return epoll_raw(number, a, true);
#if defined SYS_epoll_pwait2 && __SIZEOF_LONG__ == 8 /* else its time is not libc's */
    case SYS_epoll_pwait2: return epoll_raw(number, a, false);
#endif
    default: *known = 0; return -1;
    }
}
