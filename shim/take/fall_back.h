/*
 * fall_back.h - the canonical socket takes the channel's place behind the program's fd: under
 * --handoff direct from listen() on, and everywhere when the broker has died. When the worker is
 * over, a silent socket takes that place. Lock-free, errno and thread-safety as in vlisten.h.
 */
#ifndef SSHIM_SHIM_TAKE_FALL_BACK_H
#define SSHIM_SHIM_TAKE_FALL_BACK_H

#include <stdbool.h>

#include "shim/record/vlisten.h"

/* Puts it there. False: it could not be put there, or another thread does it. */
bool fall_back_show_canonical(struct vlisten *listener, int fd);

/* The broker has died: the channel is of no more use. listener->direct tells whether it worked. */
void fall_back_to_canonical(struct vlisten *listener, int fd);

/*
 * The broker has said that this worker is over (BOARD_DRAINING), and nothing more will come: puts a
 * socket that is never readable behind the program's fd, since the end of the channel, or the
 * connections of other workers, would be told for ever. False: there is no socket for it.
 */
bool fall_back_to_silence(struct vlisten *listener, int fd);

#endif
