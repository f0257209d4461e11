/* state_load.h - the broker's structure from the snapshot that state_save.h wrote. */
#ifndef SSHIM_BROKER_SURVIVE_STATE_LOAD_H
#define SSHIM_BROKER_SURVIVE_STATE_LOAD_H

#include <stdbool.h>

/*
 * Where the fds of the snapshot are in this process: the fd that had this number in the broker that
 * wrote it, or -1. state_load() takes the fd.
 */
typedef int state_fd_map(int fd);

/* Calls visit for every fd number in the valid snapshot. It is that of the broker that wrote it:
 * visit does not close it. */
void state_each_fd(void (*visit)(int fd, void *context), void *context);

/* Whether the valid snapshot can be read by this program. */
bool state_is_readable(void);

/* Whether the broker that wrote the valid snapshot was about to stop. */
bool state_was_stopping(void);

/*
 * Builds everything anew from the valid snapshot; the loop runs already. Offers that no worker has
 * taken are counted again. 0, or -1 with errno EPROTO when there is no snapshot that makes sense.
 */
int state_load(state_fd_map *map);

#endif
