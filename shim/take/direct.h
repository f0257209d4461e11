/*
 * direct.h - when a worker takes a connection from the canonical socket itself, past the broker.
 *
 * Never while offers wait in its own channel, while it drains, or while the broker holds older
 * connections. Lock-free, async-signal-safe.
 */
#ifndef SSHIM_SHIM_TAKE_DIRECT_H
#define SSHIM_SHIM_TAKE_DIRECT_H

#include <stdbool.h>

#include "shim/record/vlisten.h"

/* Whether this worker may take one at all. No system call. */
bool direct_is_permitted(struct vlisten *listener);

/* Whether an event loop may be woken for a connection on the canonical socket: it has none, older
 * offers are not on their way, and it does not drain. No system call. */
bool direct_is_free(struct vlisten *listener);

/* Whether a look at the canonical socket is worth its cost, for a loop that is about to wait. No
 * system call. */
bool direct_is_possible(struct vlisten *listener);

/* An event loop is about to wait with nothing else to do: whether a connection is there for it. */
bool direct_is_ready(struct vlisten *listener);

/* Whether this worker may look into the backlog without BOARD_BACKLOG: it has no open connection,
 * and looking has paid of late. No system call. */
bool direct_may_look(struct vlisten *listener);

/* Whether a connection is there. One system call; a vain look counts against the next looks. */
bool direct_look(struct vlisten *listener);

/* A look found nothing; it counts if nobody had said that a connection is there. */
void direct_note_vain(struct vlisten *listener);

/* accept4(2) on the canonical socket, and the only one. EINVAL: it was shut down, for this program
 * or for the whole pool. */
int direct_take(struct vlisten *listener, int fd, struct sockaddr *addr, socklen_t *len, int flags);

/* The program of a non-blocking listener was told that a connection is there; true once for each
 * time it was told. */
void direct_tell(struct vlisten *listener);
bool direct_was_told(struct vlisten *listener);

#endif
