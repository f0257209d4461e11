/*
 * rounds.h - an event that is not for the program does not end its wait: the wait goes on, with
 * what is left of its time-out. Such an event may stay, in an epoll fd that processes share: after
 * a few of them each further round is preceded by a rest.
 *
 * Thread-safe, no lock; each wait has its own record. rounds_begin() is a cancellation point.
 */
#ifndef SSHIM_SHIM_TAKE_ROUNDS_H
#define SSHIM_SHIM_TAKE_ROUNDS_H

#include <signal.h>
#include <stdint.h>
#include <sys/time.h>
#include <time.h>

#define ROUNDS_FOREVER_NS (-1)

/* Zero-initialised: no round has ended yet. */
struct rounds {
    int count; /* of further rounds */
    int64_t end_ns;
};

/* 1: another round. Else what the call returns: 0 when the time is over, -1 with the errno of
 * ppoll(2). */
int rounds_begin(struct rounds *rounds, int64_t timeout_ns, const sigset_t *mask);

/* A time-out, as the calls have it, in nanoseconds. */
int64_t rounds_ns_of_ms(int timeout_ms);
int64_t rounds_ns_of(const struct timespec *timeout);
int64_t rounds_ns_of_timeval(const struct timeval *timeout);

/* What is left of it. In the first round what the program gave, before anything is asked. */
int rounds_left_ms(const struct rounds *rounds, int timeout_ms);
const struct timespec *rounds_left(const struct rounds *rounds, const struct timespec *timeout,
                                   struct timespec *room);

/* select(2) itself writes there what is left; musl's does not. */
struct timeval *rounds_left_timeval(const struct rounds *rounds, struct timeval *timeout);

#endif
