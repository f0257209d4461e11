/* hooks_wait.c - the exported waiting calls, by name and by number: two stores around the real
 * call, for the hint. Only epoll_wait(2) may tell of a connection by itself, see wait_take_turn()
 * and wait_exclusive.h. */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>

#include "shim/base/next.h"
#include "shim/base/userptr.h"
#include "shim/hooks/hooks.h"
#include "shim/record/vlisten.h"
#include "shim/take/announce.h"
#include "shim/take/epoll_set.h"
#include "shim/take/turn.h"
#include "shim/take/wait.h"

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

SSHIM_EXPORT int epoll_ctl(int epoll_fd, int operation, int fd, struct epoll_event *event)
{
    return epoll_set_control(epoll_fd, operation, fdmap_shown(fd), event);
}

/*
 * An event that is not for the program does not end its wait. Such an event may stay, in an epoll
 * fd that processes share: after a few of them each further round is preceded by a rest.
 */
#define ROUNDS_AT_ONCE 8
#define REST_NS INT64_C(5000000)
#define FOREVER_NS (-1)

struct rounds {
    int count;
    int64_t end_ns;
};

static int64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static struct timespec timespec_of(int64_t ns)
{
    return (struct timespec){.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
}

/* 1: another round, with what is left of the time-out. Else what the call returns. */
static int begin_round(struct rounds *rounds, int64_t timeout_ns, const sigset_t *mask)
{
    if (rounds->count++ == 0)
        rounds->end_ns = timeout_ns == FOREVER_NS ? INT64_MAX : now_ns() + timeout_ns;
    if (rounds->count <= ROUNDS_AT_ONCE)
        return 1;
    int64_t left_ns = rounds->end_ns - now_ns();
    if (left_ns <= 0)
        return 0;
    struct timespec rest = timespec_of(left_ns < REST_NS ? left_ns : REST_NS);
    return NEXT(ppoll)(NULL, 0, &rest, mask) < 0 ? -1 : 1;
}

static int64_t left_ns_of(const struct rounds *rounds)
{
    if (rounds->end_ns == INT64_MAX)
        return FOREVER_NS;
    int64_t left_ns = rounds->end_ns - now_ns();
    return left_ns > 0 ? left_ns : 0;
}

static int64_t ns_of_ms(int timeout_ms)
{
    return timeout_ms < 0 ? FOREVER_NS : timeout_ms * INT64_C(1000000);
}

/* More than a century is for ever. */
static int64_t ns_of_parts(int64_t seconds, int64_t ns)
{
    return seconds > INT64_MAX / 2000000000 ? FOREVER_NS : seconds * INT64_C(1000000000) + ns;
}

static int64_t ns_of(const struct timespec *timeout)
{
    return timeout ? ns_of_parts(timeout->tv_sec, timeout->tv_nsec) : FOREVER_NS;
}

/* What the program gave, before anything was left out. */
static int left_ms_of(const struct rounds *rounds, int timeout_ms)
{
    if (rounds->count == 0 || timeout_ms <= 0)
        return timeout_ms;
    return (int)((left_ns_of(rounds) + 999999) / 1000000);
}

static const struct timespec *left_of(const struct rounds *rounds, const struct timespec *timeout,
                                      struct timespec *room)
{
    if (rounds->count == 0 || !timeout)
        return timeout;
    *room = timespec_of(left_ns_of(rounds));
    return room;
}

/* --- poll and select --- */

/*
 * check takes out of `ready`, what the call gave, what is not there any more: a wait with nothing
 * else goes on. The names of the call's parameters are those of its callers.
 */
#define WAITING(may_block, listeners, timeout_ns, mask, turn, call, check)                         \
    do {                                                                                           \
        bool visibly_ = (may_block);                                                               \
        uint64_t waited = (listeners);                                                             \
        int ready;                                                                                 \
        if (!waited)                                                                               \
            return (call);                                                                         \
        if (visibly_ && !(mask) && (ready = (turn)) != 0)                                          \
            return ready;                                                                          \
        do {                                                                                       \
            if (visibly_)                                                                          \
                wait_begin(waited);                                                                \
            ready = (call);                                                                        \
            if (visibly_)                                                                          \
                wait_end();                                                                        \
            if (ready == 0)                                                                        \
                announce_withdraw_all(waited);                                                     \
        } while (ready > 0 && announce_concerns(waited) && (ready = (check)) == 0 &&               \
                 (ready = begin_round(&rounds, (timeout_ns), (mask))) > 0);                        \
        return ready;                                                                              \
    } while (0)

/* Before there is any listener; see announce_by_unseen(). */
static int note_polled(const struct pollfd *fds, nfds_t count, int ready)
{
    uint64_t ready_fds = 0;

    for (nfds_t i = 0; ready > 0 && i < count; i++)
        if (fds[i].revents & POLLIN)
            ready_fds |= UINT64_C(1) << (fds[i].fd & 63);
    announce_note_unseen(ready_fds);
    return ready;
}

static int note_selected(int count, const fd_set *readable, int ready)
{
    uint64_t ready_fds = 0;

    for (int fd = 0; ready > 0 && readable && fd < count && fd < FD_SETSIZE; fd++)
        if (FD_ISSET(fd, readable))
            ready_fds |= UINT64_C(1) << (fd & 63);
    announce_note_unseen(ready_fds);
    return ready;
}

#define POLLING(may_block, timeout_ns, mask, call)                                                 \
    do {                                                                                           \
        struct rounds rounds = {0};                                                                \
        struct timespec left;                                                                      \
        (void)left;                                                                                \
        if (!matters())                                                                            \
            return note_polled(fds, count, (call));                                                \
        WAITING(may_block, wait_mask_poll(fds, count), timeout_ns, mask,                           \
                turn_poll(waited, fds, count), call, announce_check_poll(fds, count, ready));      \
    } while (0)

SSHIM_EXPORT int poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
    POLLING(timeout_ms != 0, ns_of_ms(timeout_ms), NULL,
            NEXT(poll)(fds, count, left_ms_of(&rounds, timeout_ms)));
}

SSHIM_EXPORT int __poll_chk(struct pollfd *fds, nfds_t count, int timeout_ms, size_t size_bytes)
{
    POLLING(timeout_ms != 0, ns_of_ms(timeout_ms), NULL,
            NEXT(__poll_chk)(fds, count, left_ms_of(&rounds, timeout_ms), size_bytes));
}

SSHIM_EXPORT int ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
                       const sigset_t *mask)
{
    POLLING(has_time(timeout), ns_of(timeout), mask,
            NEXT(ppoll)(fds, count, left_of(&rounds, timeout, &left), mask));
}

SSHIM_EXPORT int __ppoll_chk(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
                             const sigset_t *mask, size_t size_bytes)
{
    POLLING(has_time(timeout), ns_of(timeout), mask,
            NEXT(__ppoll_chk)(fds, count, left_of(&rounds, timeout, &left), mask, size_bytes));
}

/* What select was asked: it writes its answer over the question. */
struct question {
    fd_set readable, writable, urgent;
    bool known; /* all of it */
};

/* select(2) looks at whole words. */
static size_t set_size(int count)
{
    return ((size_t)count + NFDBITS - 1) / NFDBITS * sizeof(fd_mask);
}

static bool is_set(const fd_set *set, int count)
{
    return !set || userptr_is_writable(set, set_size(count), USERPTR_WAIT);
}

static void copy_set(fd_set *to, const fd_set *from, int count)
{
    if (from && to)
        memcpy(to, from, set_size(count));
}

/* A set that is not there is the kernel's to refuse. */
static void note_question(struct question *question, int count, const fd_set *readable,
                          const fd_set *writable, const fd_set *urgent)
{
    question->known = count > 0 && count <= FD_SETSIZE && is_set(readable, count) &&
                      is_set(writable, count) && is_set(urgent, count);
    if (!question->known)
        return;
    copy_set(&question->readable, readable, count);
    copy_set(&question->writable, writable, count);
    copy_set(&question->urgent, urgent, count);
}

/* From the second round on. */
static void ask_again(const struct rounds *rounds, const struct question *question, int count,
                      fd_set *readable, fd_set *writable, fd_set *urgent)
{
    if (rounds->count == 0)
        return;
    copy_set(readable, &question->readable, count);
    copy_set(writable, &question->writable, count);
    copy_set(urgent, &question->urgent, count);
}

static int check_selected(const struct question *question, int count, fd_set *readable, int ready)
{
    return announce_check_select(count < FD_SETSIZE ? count : FD_SETSIZE,
                                 question->known ? &question->readable : NULL, readable, ready);
}

static int64_t ns_of_timeval(const struct timeval *timeout)
{
    return timeout ? ns_of_parts(timeout->tv_sec, timeout->tv_usec * INT64_C(1000)) : FOREVER_NS;
}

/* select(2) itself writes there what is left; musl's does not. */
static struct timeval *left_timeval_of(const struct rounds *rounds, struct timeval *timeout)
{
    if (rounds->count > 0 && timeout) {
        int64_t ns = left_ns_of(rounds);
        *timeout = (struct timeval){.tv_sec = ns / 1000000000, .tv_usec = ns % 1000000000 / 1000};
    }
    return timeout;
}

#define SELECTING(may_block, timeout_ns, mask, call)                                               \
    do {                                                                                           \
        struct rounds rounds = {0};                                                                \
        struct timespec left;                                                                      \
        struct question question;                                                                  \
        (void)left;                                                                                \
        if (!matters())                                                                            \
            return note_selected(count, readable, (call));                                         \
        note_question(&question, count, readable, writable, urgent);                               \
        WAITING(may_block, wait_mask_select(count, readable), timeout_ns, mask,                    \
                question.known ? turn_select(waited, count, readable, writable, urgent) : 0,       \
                (ask_again(&rounds, &question, count, readable, writable, urgent), (call)),        \
                check_selected(&question, count, readable, ready));                                \
    } while (0)

SSHIM_EXPORT int select(int count, fd_set *restrict readable, fd_set *restrict writable,
                        fd_set *restrict urgent, struct timeval *restrict timeout)
{
    /* a timeval and a timespec are two longs each; only whether they are 0 is asked */
    SELECTING(has_time((const struct timespec *)(const void *)timeout), ns_of_timeval(timeout),
              NULL,
              NEXT(select)(count, readable, writable, urgent, left_timeval_of(&rounds, timeout)));
}

SSHIM_EXPORT int pselect(int count, fd_set *restrict readable, fd_set *restrict writable,
                         fd_set *restrict urgent, const struct timespec *restrict timeout,
                         const sigset_t *restrict mask)
{
    SELECTING(
        has_time(timeout), ns_of(timeout), mask,
        NEXT(pselect)(count, readable, writable, urgent, left_of(&rounds, timeout, &left), mask));
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
                 (result_ = begin_round(&rounds, (timeout_ns), (mask))) > 0);                      \
        return result_;                                                                            \
    } while (0)

/* The listeners that are waited for in this epoll fd. */
static uint64_t listeners_of(int epoll_fd)
{
    return matters() ? wait_mask_epoll(epoll_fd) : 0;
}

SSHIM_EXPORT int epoll_wait(int epoll_fd, struct epoll_event *events, int max, int timeout_ms)
{
    struct rounds rounds = {0};
    uint64_t listeners = listeners_of(epoll_fd);
    int ready = timeout_ms == 0 ? 0 : wait_take_turn(listeners, epoll_fd, events, max);

    if (ready != 0)
        return ready;
    WAITING_EPOLL(timeout_ms != 0, listeners, ns_of_ms(timeout_ms), NULL,
                  NEXT(epoll_wait)(epoll_fd, events, max, left_ms_of(&rounds, timeout_ms)));
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
    WAITING_EPOLL(timeout_ms != 0, listeners, ns_of_ms(timeout_ms), mask,
                  NEXT(epoll_pwait)(epoll_fd, events, max, left_ms_of(&rounds, timeout_ms), mask));
}

SSHIM_EXPORT int epoll_pwait2(int epoll_fd, struct epoll_event *events, int max,
                              const struct timespec *timeout, const sigset_t *mask)
{
    struct rounds rounds = {0};
    struct timespec left;

    WAITING_EPOLL(
        has_time(timeout), listeners_of(epoll_fd), ns_of(timeout), mask,
        NEXT(epoll_pwait2)(epoll_fd, events, max, left_of(&rounds, timeout, &left), mask));
}

/* --- by number --- */

#ifdef SYS_poll
static long poll_raw(long number, const struct raw_arguments *given)
{
    struct raw_arguments a = *given;
    struct pollfd *fds = (struct pollfd *)a.at[0];
    nfds_t count = (nfds_t)a.at[1];
    int timeout_ms = (int)a.at[2];

    POLLING(timeout_ms != 0, ns_of_ms(timeout_ms), NULL,
            (a.at[2] = left_ms_of(&rounds, timeout_ms), (int)raw_call(number, &a)));
}
#endif

/* These calls themselves write into their time-out what is left of it. */
static long ppoll_raw(long number, const struct raw_arguments *a)
{
    struct pollfd *fds = (struct pollfd *)a->at[0];
    nfds_t count = (nfds_t)a->at[1];
    const struct timespec *timeout = (const struct timespec *)a->at[2];

    POLLING(has_time(timeout), ns_of(timeout), NULL, (int)raw_call(number, a));
}

static long select_raw(long number, const struct raw_arguments *a, bool in_us)
{
    int count = (int)a->at[0];
    fd_set *readable = (fd_set *)a->at[1];
    fd_set *writable = (fd_set *)a->at[2];
    fd_set *urgent = (fd_set *)a->at[3];
    const void *timeout = (const void *)a->at[4];

    SELECTING(has_time(timeout), in_us ? ns_of_timeval(timeout) : ns_of(timeout), NULL,
              (int)raw_call(number, a));
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
    bool waits = in_ms ? timeout_ms != 0 : has_time(timeout);

    WAITING_EPOLL(
        waits, listeners_of(epoll_fd), in_ms ? ns_of_ms(timeout_ms) : ns_of(timeout), NULL,
        (a.at[3] = in_ms ? left_ms_of(&rounds, timeout_ms) : (long)left_of(&rounds, timeout, &left),
         (int)raw_call(number, &a)));
}

long wait_by_number(long number, const struct raw_arguments *a, int *known)
{
    *known = matters();
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
