/* fdroom.c - see fdroom.h. Owns what is known about how full the descriptor table is. */
#include "shim/base/fdroom.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>

#include "shim/base/next.h"

/* A program may open so many descriptors unseen between two looks. */
#define SCARCE_MIN 64
#define CROWDED_MIN 16
#define END_SIZE 128 /* numbers at the end of the table that a look asks about */
#define TURN_TRIES 200

/* The highest number that was given as the lowest free one, since room was seen last. */
static _Atomic int highest = -1;

/* Of the limit that was seen last. */
static _Atomic int limit_known = INT32_MAX;
static _Atomic int scarce_from = INT32_MAX;
static _Atomic int crowded_from = INT32_MAX;

static _Atomic int64_t looked_ms;
static _Atomic int taken_turn;

static int larger(int a, int b)
{
    return a > b ? a : b;
}

int fdroom_scarce_from(int limit)
{
    return larger(limit - larger(limit / 8, SCARCE_MIN), 0);
}

int fdroom_crowded_from(int limit)
{
    return larger(limit - larger(limit / 8, CROWDED_MIN), 0);
}

void fdroom_learn_limit(void)
{
    struct rlimit limit;
    int saved = errno;
    bool known = getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < INT32_MAX;
    int count = known ? (int)limit.rlim_cur : INT32_MAX;

    if (atomic_exchange_explicit(&limit_known, count, memory_order_relaxed) != count) {
        atomic_store_explicit(&scarce_from, fdroom_scarce_from(count), memory_order_relaxed);
        atomic_store_explicit(&crowded_from, fdroom_crowded_from(count), memory_order_relaxed);
    }
    errno = saved;
}

bool fdroom_note(int fd)
{
    int before = atomic_load_explicit(&highest, memory_order_relaxed);

    if (fd > before)
        atomic_store_explicit(&highest, fd, memory_order_relaxed);
    return (fd > before ? fd : before) >= atomic_load_explicit(&crowded_from, memory_order_relaxed);
}

/* The lowest free number, or -1. */
static int find_lowest_free(int any_fd)
{
    int saved = errno;
    int fd = NEXT(fcntl)(any_fd, F_DUPFD_CLOEXEC, 0);

    if (fd >= 0)
        NEXT(close)(fd);
    errno = saved;
    return fd;
}

bool fdroom_prove(int any_fd)
{
    return find_lowest_free(any_fd) >= 0;
}

/* poll(2) says POLLNVAL of a number that is free. */
static bool has_room_at_end(int limit)
{
    struct pollfd end[END_SIZE];
    int size = limit < END_SIZE ? limit : END_SIZE;
    int free_count = 0;
    int saved = errno;

    for (int i = 0; i < size; i++)
        end[i] = (struct pollfd){.fd = limit - size + i};
    if (NEXT(poll)(end, (nfds_t)size, 0) >= 0)
        for (int i = 0; i < size; i++)
            free_count += end[i].revents == POLLNVAL;
    errno = saved;
    return free_count >= SCARCE_MIN;
}

/* While the kernel gives numbers from the first quarter, and the end of the table is free, there is
 * nothing to find out. Where the end is not free, the lowest number may be the only one. */
static void look(int any_fd)
{
    fdroom_learn_limit();
    int limit = atomic_load_explicit(&limit_known, memory_order_relaxed);
    bool has_room = has_room_at_end(limit);
    if (atomic_load_explicit(&highest, memory_order_relaxed) < limit / 4 && has_room)
        return;
    int lowest = find_lowest_free(any_fd);

    if (lowest < 0)
        lowest = limit;
    if (!has_room)
        fdroom_note(larger(lowest, fdroom_scarce_from(limit)));
    else if (atomic_load_explicit(&highest, memory_order_relaxed) < fdroom_scarce_from(limit))
        fdroom_note(lowest);
    else
        atomic_store_explicit(&highest, lowest, memory_order_relaxed);
}

bool fdroom_is_scarce(int any_fd)
{
    struct timespec now = {0};
    int saved = errno;

    clock_gettime(CLOCK_MONOTONIC_COARSE, &now); /* no system call */
    errno = saved;
    int64_t now_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    if (now_ms - atomic_load_explicit(&looked_ms, memory_order_relaxed) >= FDROOM_LOOK_MS) {
        atomic_store_explicit(&looked_ms, now_ms, memory_order_relaxed);
        look(any_fd);
    }
    return atomic_load_explicit(&highest, memory_order_relaxed) >=
           atomic_load_explicit(&scarce_from, memory_order_relaxed);
}

/* Bounded: a signal handler may have interrupted the thread whose turn it is. */
void fdroom_begin_turn(void)
{
    for (int i = 0; i < TURN_TRIES && atomic_exchange(&taken_turn, true); i++)
        NEXT(syscall)(SYS_sched_yield);
}

void fdroom_end_turn(void)
{
    atomic_store(&taken_turn, false);
}

void fdroom_on_fork(void)
{
    fdroom_end_turn();
}
