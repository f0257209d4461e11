/*
 * sockets.h - what a process listens on by itself, as proc(5) tells; the library is not asked.
 */
#ifndef SSHIM_BROKER_DIAGNOSE_SOCKETS_H
#define SSHIM_BROKER_DIAGNOSE_SOCKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/*
 * Whether it holds a listening stream socket (TCP or AF_UNIX, of its own network namespace).
 * Appends their addresses to text, with ", " between any two and "..." where there is no room; each
 * once. False as well when /proc does not let us look.
 */
bool sockets_find_listening(pid_t pid, char *text, size_t size);

#endif
