/*
 * original.h - what the broker was started with and has changed for itself: what it starts gets it
 * back.
 */
#ifndef SSHIM_BROKER_LIFE_LAUNCH_ORIGINAL_H
#define SSHIM_BROKER_LIFE_LAUNCH_ORIGINAL_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

/* Remembers the signal mask, which signals are ignored, and RLIMIT_NOFILE. Call before changing any
 * of them. SIGCHLD gets its default action: where it is ignored the kernel reaps children unseen,
 * see waitpid(2). */
void original_init(void);

/* The same as one number each, so that they survive an exec of the broker itself. */
struct original {
    uint64_t signal_mask;     /* bit n - 1: signal n is blocked */
    uint64_t ignored_signals; /* the same for those that are ignored */
    uint64_t file_limit;
};
struct original original_get(void);
void original_set(const struct original *from);

/* How many descriptors we were given beyond standard error, without a gap: what is behind them is
 * our own. */
unsigned original_count_fds(void);

/* Whether the program that started us had this signal ignored, as nohup(1) does with SIGHUP. */
bool original_ignores(int number);

/* Blocks these signals and no others than the original ones. */
void original_block_signals(const sigset_t *signals);

/* Before a fork: notes once which signals have another action than then, so that the child does not
 * ask for all 64: 16 us of the 250 that a start takes. Call when the actions do not change any
 * more. */
void original_note_signals(void);

/* In a child. All but the signal mask, which comes last; the scheduling, too. */
void original_restore(void);
void original_restore_mask(void);

/* In a child. Removes the variables of a service manager: a worker would report its own readiness,
 * or take descriptors that it does not have. */
void original_hide_manager(void);

#endif
