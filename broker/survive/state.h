/*
 * state.h - the broker's structure as a snapshot, and back: slots, workers, listeners, channels and
 * which fd is which. For the keeper, for another `sshim run` that takes over, and for an upgrade in
 * place.
 */
#ifndef SSHIM_BROKER_SURVIVE_STATE_H
#define SSHIM_BROKER_SURVIVE_STATE_H

#include <stdbool.h>

/* Writes a snapshot. The loop calls it before it waits if something changed, see journal_touch().
 */
void state_save(void);

/*
 * Where the fds of the snapshot are in this process: the fd that had this number in the broker that
 * wrote it, or -1.
 */
typedef int state_fd_map(int fd);

/* Calls visit for every fd number in the valid snapshot. */
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
