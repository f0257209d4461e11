/*
 * origin.h - canonical sockets back from the processes that have them still: found by the
 * scoreboards in their memory, taken by pidfd_getfd(2), made listeners again.
 */
#ifndef SSHIM_BROKER_SURVIVE_ORIGIN_H
#define SSHIM_BROKER_SURVIVE_ORIGIN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "proto/scoreboard.h"

struct origin_socket {
    int fd;
    ino_t ino;
    pid_t pid; /* from whom it is */
};

/* Calls visit with a copy of each scoreboard that the process has mapped. */
void origin_each_board(pid_t pid, void (*visit)(const struct board *board, void *context),
                       void *context);

/* Connections that are open as far as this scoreboard tells. */
uint64_t origin_count_open(const struct board *board);

/* Whether it has scoreboards, and not one of them tells of an open connection. */
bool origin_is_at_rest(pid_t pid);

/*
 * Gives a copy of its descriptor of the listening stream socket with this inode, or -1: ENOENT, it
 * has none; else the errno of pidfd_open(2) or pidfd_getfd(2).
 */
int origin_take_socket(pid_t pid, ino_t ino);

/* A listener that has this canonical socket (takes). */
void origin_make_listener(const struct origin_socket *socket);

#endif
