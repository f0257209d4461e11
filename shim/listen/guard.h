/*
 * guard.h - socket files that this worker shares with the other copies. Every copy unlinks the file
 * before it binds, and many unlink it when they end: that must not cut off the others, so unlinking
 * one of these succeeds and does nothing. The broker removes the file in the end.
 *
 * A program that starts may be held up for a second, should the broker hang.
 * Thread-safe and async-signal-safe; errno is kept.
 */
#ifndef SSHIM_SHIM_LISTEN_GUARD_H
#define SSHIM_SHIM_LISTEN_GUARD_H

#include <stdbool.h>

/* The file at this path is a shared socket from now on. */
void guard_add(const char *path);

/*
 * Whether this is such a file, and unlinking it is to be played. No system call in a process that
 * has none and was started when the broker had none.
 */
bool guard_protects(int folder_fd, const char *path);

#endif
