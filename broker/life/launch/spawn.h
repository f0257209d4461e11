/*
 * spawn.h - starts a process as a worker. The only caller of fork and exec.
 */
#ifndef SSHIM_BROKER_LIFE_LAUNCH_SPAWN_H
#define SSHIM_BROKER_LIFE_LAUNCH_SPAWN_H

#include <signal.h>
#include <stdint.h>
#include <sys/types.h>

#include <stdbool.h>

#include "proto/wire.h"

struct spawn_identity {
    unsigned slot;
    const uint8_t *token;      /* WIRE_TOKEN_SIZE bytes */
    const char *notify_socket; /* for its environment; "": none */
    int outputs[2];            /* borrows: standard output and error; -1: as the broker's */
};

/* Remembers what children must get back: the signal mask, which signals are ignored, and
 * RLIMIT_NOFILE. Call before changing any of them. SIGCHLD gets its default action: where it is
 * ignored the kernel reaps children unseen, see waitpid(2). */
void spawn_init(void);

/* The same as one number each, so that they survive an exec of the broker itself. */
struct spawn_original {
    uint64_t signal_mask;     /* bit n - 1: signal n is blocked */
    uint64_t ignored_signals; /* the same for those that are ignored */
    uint64_t file_limit;
};
struct spawn_original spawn_get_original(void);
void spawn_set_original(const struct spawn_original *original);

/* Whether the program that started us had this signal ignored, as nohup(1) does with SIGHUP. */
bool spawn_was_ignored(int number);

/* Blocks these signals and no others than the original ones. */
void spawn_block_signals(const sigset_t *signals);

/* The user and group of the workers. resolve: 0, or -1 after one line if there is no such user or
 * group. */
int spawn_resolve_user(const char *user, const char *group);

/* Sets the function that installs a filter, if runtime.intercept says so: gives the notification
 * descriptor, or -1 with errno. Called in the child. */
void spawn_set_filter(int (*install)(void));

/* The user and group that it found; call it first. */
uid_t spawn_uid(void);
gid_t spawn_gid(void);

/*
 * Starts a process that executes the command (found as by execvp(3)), with {id} in its arguments
 * replaced, the library preloaded, or filtered, and the identity in the environment, as leader of a
 * process group of its own, in the surroundings that the options say. Gives *error_fd, a socket: it
 * reads a struct launch_failure, or end of file when the program runs; before, one of zeros with
 * the notification descriptor of a filter. Returns the pid, or -1 with the errno of fork(2) or
 * socketpair(2).
 */
pid_t spawn_worker(const struct spawn_identity *identity, int *error_fd);

/*
 * Runs the command of --on-event by `sh -c`, with the rights, the signals, the limits and the
 * scheduling that the broker was started with, in a session of its own, without input, its output
 * on standard error. variables: "NAME=VALUE" texts, each with its zero, and an empty one behind;
 * those whose name does not begin with SSHIM_EVENT are left out. Returns the pid, or -1 with the
 * errno of memfd_create(2), write(2) or deputy_fork().
 */
pid_t spawn_command(const char *variables);

#endif
