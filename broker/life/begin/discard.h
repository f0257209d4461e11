/*
 * discard.h - takes a datagram off a socket, however long its descriptors take to close.
 *
 * The kernel closes the descriptors of a datagram for whoever receives it. That may sleep
 * (SO_LINGER), and where a file system is involved no signal may end it. So a process of its own
 * receives such a datagram: a signal ends it after a few milliseconds, and if it does not end by
 * that, it is left alone.
 *
 * For receiver.c, in its process.
 */
#ifndef SSHIM_BROKER_LIFE_BEGIN_DISCARD_H
#define SSHIM_BROKER_LIFE_BEGIN_DISCARD_H

#include <stdbool.h>

/* 0, or -1 with the errno of mmap(2). */
int discard_init(void);

/* Takes the next datagram off (borrows socket_fd): when this returns true it is not there any more,
 * though its descriptors may not be closed yet. False: try again later; too many processes do not
 * end, or there can be none now. */
bool discard_next(int socket_fd);

/* How many such processes have not ended. */
int discard_count(void);

#endif
