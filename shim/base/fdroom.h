/*
 * fdroom.h - whether a descriptor number is free for a connection: without one recvmsg(2) destroys
 * the connection, so accept() must know before it receives.
 *
 * The kernel gives the lowest free number. Such a number tells how many are taken below it, but not
 * whether those above it are free: a number that was closed comes back first. So the highest one
 * that was given counts, until a look at the end of the table finds room there again. Descriptors
 * that are opened past the hooks, and a limit that is lowered from outside, are found by a look at
 * least every FDROOM_LOOK_MS.
 *
 * All functions keep errno, take no lock, and are thread-safe and async-signal-safe.
 */
#ifndef SSHIM_SHIM_BASE_FDROOM_H
#define SSHIM_SHIM_BASE_FDROOM_H

#include <stdbool.h>

#define FDROOM_LOOK_MS 10

/* The kernel chose this number for a new descriptor. True: the table is nearly full, other workers
 * should get the next connection. No system call. */
bool fdroom_note(int fd);

/* Reads RLIMIT_NOFILE: it may have changed. */
void fdroom_learn_limit(void);

/* Whether the table may be full, so that a free number is to be proved before each receive. any_fd:
 * an open descriptor (borrows). Looks at the table when the last look is FDROOM_LOOK_MS old. */
bool fdroom_is_scarce(int any_fd);

/* Whether there is a free number right now. any_fd: an open descriptor (borrows). */
bool fdroom_prove(int any_fd);

/*
 * Between begin and end no other thread proves a number, so that what was proved stays true unless
 * the program itself opens something. A thread that cannot get its turn for long goes on without.
 */
void fdroom_begin_turn(void);
void fdroom_end_turn(void);

/* pthread_atfork child: the turn of another thread is over. */
void fdroom_on_fork(void);

/* Of a limit: from which number on the table counts as scarce, and as nearly full. Pure. */
int fdroom_scarce_from(int limit);
int fdroom_crowded_from(int limit);

#endif
