/*
 * prefork.h - a listener whose fd is the canonical socket itself, shared by all copies as in
 * classic pre-forking: under --handoff direct, and after the death of broker and keeper.
 *
 * O_NONBLOCK belongs to the open socket, which all copies share. It is off until one of them asks
 * for it, and then stays on: blocking is emulated by poll(2). The channel is
 * kept hidden meanwhile. Lock-free; fd, errno and thread-safety as in vlisten.h.
 */
#ifndef SSHIM_SHIM_LISTEN_PREFORK_H
#define SSHIM_SHIM_LISTEN_PREFORK_H

#include <stdbool.h>

#include "shim/record/vlisten.h"

/* After listen(2), under --handoff direct: swaps the channel behind the program's fd and the hidden
 * canonical socket. */
void prefork_begin(struct vlisten *listener, int fd);

/* After exec: fd is a canonical socket that this process was given. The record of it, or NULL. */
struct vlisten *prefork_recognise(int fd);

/* shutdown(2): puts the channel back, on which the others' connections cannot be seen. False: there
 * is none. */
bool prefork_end(struct vlisten *listener, int fd);

/* The program sets O_NONBLOCK, among these status flags or by FIONBIO; 0, or -1 as fcntl(2). */
int prefork_set_flags(struct vlisten *listener, int fd, unsigned long flags);

#endif
