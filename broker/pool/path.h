/*
 * path.h - the file of an AF_UNIX listener. The worker binds it. The broker looks nothing up in the
 * folder and changes nothing there itself: in the end a child process removes the file, with no
 * more rights than the worker had that bound it. Nothing here waits for a file system.
 */
#ifndef SSHIM_BROKER_POOL_PATH_H
#define SSHIM_BROKER_POOL_PATH_H

#include <signal.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "proto/wire.h"

/* A worker with more supplementary groups than this is taken to have none. */
#define PATH_GROUPS_MAX 32

/* At most this many files are removed at a time: a worker's own file system may block a removal. */
#define PATH_REMOVALS_MAX 16

/* The rights with which the file is removed. */
struct path_owner {
    uint32_t uid, gid, group_count;
    uint32_t groups[PATH_GROUPS_MAX];
};

struct path {
    int folder_fd;               /* keeps, O_PATH; -1: the listener has no file */
    char name[WIRE_ADDRESS_MAX]; /* in the folder: no slash, not "." or ".." */
    alignas(8) uint64_t folder_dev;
    uint64_t folder_ino;
    uint64_t ino; /* of the file, as the worker said; 0: not bound, or not said */
    struct path_owner owner;
};

/*
 * Takes the name in this folder (takes folder_fd if it succeeds). 0, or -1 with EINVAL (no plain
 * name, or folder_fd was not opened with O_PATH), ENOTDIR, or the errno of statx(2).
 */
int path_open(struct path *path, int folder_fd, const char *name);

/* Once, before the others. */
void path_init(void);

/* Whether it can be a record of ours. */
bool path_is_sound(const struct path *path);

/* Whether both are one name in one folder. */
bool path_equal(const struct path *a, const struct path *b);

/* The file is bound now, by the peer of link_fd (borrows), who says that its inode is ino. */
void path_note_bound(struct path *path, uint64_t ino, int link_fd);

/*
 * Starts a process that removes the file if it is still the one that was bound, with its owner's
 * rights. canonical_fd (borrows) is its socket: it keeps the inode's number from being used again.
 */
void path_remove(const struct path *path, int canonical_fd);

/* Whether such a process is at work on this name: who binds it now may lose the file at once. */
bool path_is_being_removed(const struct path *path);

/* Whether this child of the broker is one of those processes, or was it, now that it has ended. */
bool path_is_removal(pid_t pid);
bool path_on_child_end(const siginfo_t *info);

/* Waits until at most so many still run, for so long. */
void path_await_removals(unsigned at_most, int timeout_ms);

/* Closes the folder: the listener has no file any more. */
void path_close(struct path *path);

#endif
