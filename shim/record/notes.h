/*
 * notes.h - notes for --conn-log, see proto/notes.h. Connections are borrowed. Async-signal-safe,
 * lock-free, keep errno.
 */
#ifndef SSHIM_SHIM_RECORD_NOTES_H
#define SSHIM_SHIM_RECORD_NOTES_H

#include <netinet/in.h>
#include <stdbool.h>

#include "shim/record/vlisten.h"

/* Whether the operator wants them of this listener. No system call. */
static inline bool notes_are_kept(struct vlisten *listener)
{
    return __builtin_expect(board_has_flag(listener->board, BOARD_NOTES), 0);
}

/* This process has taken the connection fd past the broker, of this peer. Two system calls, and one
 * more if the broker has to be woken. */
void notes_add_take(struct vlisten *listener, int fd, const struct sockaddr_in6 *peer);

/* It has got fd from the broker. */
void notes_forget_take(int fd);

/* It is about to close the connection fd. One system call, or two, and perhaps one more. */
void notes_add_close(struct vlisten *listener, int fd);

#endif
