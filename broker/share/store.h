/*
 * store.h - lets a service manager keep the canonical sockets of TCP addresses and abstract names,
 * so that clients wait while the unit is restarted (FDSTORE=1, sd_pid_notify_with_fds(3)). It does
 * where the manager says that it keeps descriptors (FDSTORE, systemd.exec(5)). They come back by
 * LISTEN_FDS, see inherit.h, and are told from others by their names.
 *
 * A socket that is kept is not shut down by a stop. If its listener ends before, the manager is
 * told to forget it.
 */
#ifndef SSHIM_BROKER_SHARE_STORE_H
#define SSHIM_BROKER_SHARE_STORE_H

#include <stdbool.h>
#include <sys/types.h>

/* Reads what the manager says. Listeners of the broker before are there, if there was one. */
void store_begin(void);

/* Whether a descriptor of this name in LISTEN_FDNAMES is one that was kept for us. */
bool store_is_name(const char *name);

/* The socket with this inode came back. If no listener has it at the next review, the manager is
 * told to forget it. */
void store_note(ino_t ino);

/* Tells the manager what has changed. tell sends a text, and with it fd (borrows) unless that is
 * -1; false: it was not taken, and is told again by the next review. */
typedef bool store_tell(const char *text, int fd);
void store_review(store_tell *tell);

#endif
