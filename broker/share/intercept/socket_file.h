/*
 * socket_file.h - socket files of workers with a filter. The worker binds and removes its file
 * itself, with its own rights; the broker looks nothing up. Two workers mean one file if they name
 * it by the same text from the same place: root, mount namespace and, for a relative name, folder.
 */
#ifndef SSHIM_BROKER_SHARE_INTERCEPT_SOCKET_FILE_H
#define SSHIM_BROKER_SHARE_INTERCEPT_SOCKET_FILE_H

#include "broker/base/address.h"
#include "broker/share/claim/bind.h"
#include "broker/share/intercept/filter.h"
#include "broker/share/intercept/notify.h"

/* bind(2) of a path: as bind_file(). False: another worker is about to bind or to remove it, or the
 * verdict needs another turn, so ask again. */
bool socket_file_bind(const struct notify *notify, struct worker *worker, pid_t asker,
                      const struct address *address, struct bind_verdict *verdict);

/* The worker listens on a socket (borrows) that it has bound to a path by itself: the listener
 * whose canonical socket a copy of it is now, or NULL: it is the worker's own. */
struct listener *socket_file_listen(const struct notify *notify, struct worker *worker, pid_t asker,
                                    int fd);

/* Answers unlink or unlinkat: the file of a listener stays as long as another copy has it. */
void socket_file_unlink(struct notify *notify, enum filter_call call);

#endif
