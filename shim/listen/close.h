/* close.h - handles the close of a shared listener's descriptor. Keeps errno; thread-safe. */
#ifndef SSHIM_SHIM_LISTEN_CLOSE_H
#define SSHIM_SHIM_LISTEN_CLOSE_H

#include <stdbool.h>

#include "shim/record/vlisten.h"

/* The program is about to close fd, which is this listener. Before the last one is closed, the
 * broker is told. If no other copy comes for them, the connections that it has sent are reset. */
void close_listener_fd(struct vlisten *listener, int fd);

/* No fd of the program refers to it any more: frees the record, now or when a thread that begins to
 * wait exclusively has noticed. */
void close_release(struct vlisten *listener);

/* Whether the fd that is about to be closed wants close_settle() afterwards. */
bool close_must_settle(struct vlisten *listener);

/* If the broker promises that a closed listener is gone (BOARD_EXACT): waits until it has seen the
 * close, for 200 ms at most, or three times that if it does not even accept. */
void close_settle(void);

/* shutdown(2) of fd, under the same promise: the broker was told; waits until it sends nothing
 * more, and resets what it has sent. */
void close_reset_offers(int fd);

/* The program is about to put something of its own on a hidden number: the hidden file moves to
 * another. */
void close_move_hidden(int fd, unsigned index);

#endif
