/* rounds.c - see rounds.h. */
#include "shim/take/rounds.h"

#include <poll.h>

#include "shim/base/next.h"

#define ROUNDS_AT_ONCE 8
#define REST_NS INT64_C(5000000)

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

int rounds_begin(struct rounds *rounds, int64_t timeout_ns, const sigset_t *mask)
{
    if (rounds->count++ == 0)
        rounds->end_ns = timeout_ns == ROUNDS_FOREVER_NS ? INT64_MAX : now_ns() + timeout_ns;
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
        return ROUNDS_FOREVER_NS;
    int64_t left_ns = rounds->end_ns - now_ns();
    return left_ns > 0 ? left_ns : 0;
}

int64_t rounds_ns_of_ms(int timeout_ms)
{
    return timeout_ms < 0 ? ROUNDS_FOREVER_NS : timeout_ms * INT64_C(1000000);
}

/* More than a century is for ever. */
static int64_t ns_of_parts(int64_t seconds, int64_t ns)
{
    return seconds > INT64_MAX / 2000000000 ? ROUNDS_FOREVER_NS
                                            : seconds * INT64_C(1000000000) + ns;
}

int64_t rounds_ns_of(const struct timespec *timeout)
{
    return timeout ? ns_of_parts(timeout->tv_sec, timeout->tv_nsec) : ROUNDS_FOREVER_NS;
}

int64_t rounds_ns_of_timeval(const struct timeval *timeout)
{
    return timeout ? ns_of_parts(timeout->tv_sec, timeout->tv_usec * INT64_C(1000))
                   : ROUNDS_FOREVER_NS;
}

int rounds_left_ms(const struct rounds *rounds, int timeout_ms)
{
    if (rounds->count == 0 || timeout_ms <= 0)
        return timeout_ms;
    return (int)((left_ns_of(rounds) + 999999) / 1000000);
}

const struct timespec *rounds_left(const struct rounds *rounds, const struct timespec *timeout,
                                   struct timespec *room)
{
    if (rounds->count == 0 || !timeout)
        return timeout;
    *room = timespec_of(left_ns_of(rounds));
    return room;
}

struct timeval *rounds_left_timeval(const struct rounds *rounds, struct timeval *timeout)
{
    if (rounds->count > 0 && timeout) {
        int64_t ns = left_ns_of(rounds);
        *timeout = (struct timeval){.tv_sec = ns / 1000000000, .tv_usec = ns % 1000000000 / 1000};
    }
    return timeout;
}
