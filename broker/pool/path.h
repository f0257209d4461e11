/*
 * path.h - the file of an AF_UNIX listener. Every copy of a server unlinks it and binds its own,
 * and many unlink it when they end; a hard link beside it lets us put it back at once (inotify(7)
 * tells when).
 */
#ifndef SSHIM_BROKER_POOL_PATH_H
#define SSHIM_BROKER_POOL_PATH_H

#include <stdbool.h>
#include <sys/types.h>

#include "proto/wire.h"

struct path {
    int folder_fd; /* keeps; -1: the listener has no file */
    char name[WIRE_ADDRESS_MAX];
    char hidden[32]; /* the hard link, "" = none: the file system has no hard links, or no right to
                        make one */
    dev_t dev;
    ino_t ino; /* 0: not bound yet */
};

/* The socket is bound at this name now: makes the hard link and watches it; unless keep, only notes
 * which file it is. False: somebody has unlinked it already, so that nobody can reach the socket
 * any more. */
bool path_guard(struct path *path, const char *name, bool keep);

/* Whether the name leads to the socket that was bound there. */
bool path_is_there(const struct path *path);

/* Watches the hard link that another broker made. */
void path_watch(const struct path *path);

/* Puts the file back if somebody has unlinked it or bound another socket there. */
void path_restore(const struct path *path);

/* Removes the link and, with remove, the file if it is still ours; closes the folder. */
void path_finish(struct path *path, bool remove);

#endif
