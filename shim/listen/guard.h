/*
 * guard.h - socket files that this worker shares with the other copies. Every copy unlinks the file
 * before it binds, and many unlink it when they end: that must not cut off the others, so unlinking
 * one of these succeeds and does nothing, unless no other copy has it (temporary folders). The
 * broker removes the file in the end.
 *
 * If the broker hangs, a starting program may wait for a second.
 * Thread-safe and async-signal-safe; errno is kept where nothing fails.
 */
#ifndef SSHIM_SHIM_LISTEN_GUARD_H
#define SSHIM_SHIM_LISTEN_GUARD_H

#include <stdbool.h>

#include "proto/wire.h"

/* The file at this path is a shared socket from now on. */
void guard_add(const char *path);

/*
 * Takes the place of unlinkat(folder_fd, path, 0): false, the caller makes that call; true, *result
 * and errno are its outcome. A program that has not accepted yet, or has a listener that it did not
 * bind, asks the broker about each socket file, any other about its own; the broker keeps others
 * from binding it meanwhile.
 * No system call in any other that shares no file.
 */
bool guard_unlink(int folder_fd, const char *path, int *result);

/*
 * Makes a WIRE_CLAIM of this path, seen from folder_fd. Returns its folder, an O_PATH descriptor
 * that goes with it and that the caller closes; -1: the kernel is to say what is wrong with it.
 */
int guard_claim(struct wire_claim *claim, int folder_fd, const char *path, uint32_t flags);

/* The inode of the socket file at this path, 0: there is none. */
uint64_t guard_inode(int folder_fd, const char *path);

#endif
