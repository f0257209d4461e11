/*
 * fall_back.h - the canonical socket takes the channel's place behind the program's fd: under
 * --handoff direct from listen() on, and always after the broker's death. If the worker is drained,
 * a silent socket takes that place. Lock-free, errno and thread-safety as in vlisten.h.
 */
#ifndef SSHIM_SHIM_TAKE_FALL_BACK_H
#define SSHIM_SHIM_TAKE_FALL_BACK_H

#include <stdbool.h>

#include "shim/record/vlisten.h"

/* Puts it there. False: it could not be put there, or another thread does it. */
bool fall_back_show_canonical(struct vlisten *listener, int fd);

/* The broker has died: the channel is useless. listener->direct says whether the swap worked. */
void fall_back_to_canonical(struct vlisten *listener, int fd);

/*
 * The broker has drained this worker (BOARD_DRAINING), and no offer will come: puts a
 * socket that is never readable behind the program's fd. Else the fd would report the end of the
 * channel, or connections of other workers, for ever. False: no socket could be made.
 */
bool fall_back_to_silence(struct vlisten *listener, int fd);

#endif
