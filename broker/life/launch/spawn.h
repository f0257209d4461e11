/*
 * spawn.h - starts a process as a worker.
 */
#ifndef SSHIM_BROKER_LIFE_LAUNCH_SPAWN_H
#define SSHIM_BROKER_LIFE_LAUNCH_SPAWN_H

#include <stdint.h>
#include <sys/types.h>

#include "proto/wire.h"

struct spawn_identity {
    unsigned slot;
    const uint8_t *token;      /* WIRE_TOKEN_SIZE bytes */
    const char *notify_socket; /* for its environment; "": none */
    int outputs[2];            /* borrows: standard output and error; -1: as the broker's */
};

/* Before deputy_start(). */
void spawn_init(void);

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
 * process group of its own in the deputy's session, in the surroundings that the options say. Gives
 * *error_fd, a socket: it reads a struct launch_failure, or end of file when the program runs;
 * before, one of zeros with the notification descriptor of a filter. Returns the pid, or -1 with
 * the errno of fork(2) or socketpair(2).
 */
pid_t spawn_worker(const struct spawn_identity *identity, int *error_fd);

#endif
