/*
 * procnet.h - which addresses a process listens on, by proc(5), without the library.
 */
#ifndef SSHIM_BROKER_DIAGNOSE_PROCNET_H
#define SSHIM_BROKER_DIAGNOSE_PROCNET_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "broker/base/address.h"

/*
 * Whether it holds a listening stream socket (TCP or AF_UNIX, of its own network namespace).
 * Appends their addresses to text, with ", " between any two and "..." where there is no room; each
 * once. False as well when /proc does not let us look.
 */
bool procnet_find_listening(pid_t pid, char *text, size_t size);

/* The same without the sockets that is_ours() (NULL: none) knows by their inode. */
bool procnet_find_own(pid_t pid, bool (*is_ours)(ino_t ino), char *text, size_t size);

/* The same for TCP ports that the kernel does not choose itself (ip_local_port_range), without the
 * standard input of this process. */
bool procnet_find_fixed(pid_t pid, char *text, size_t size);

/* Gives the control path of the broker that this process is, or whose keeper it is: it holds the
 * socket that has the broker's abstract name. False: none, or a path that the name has no room for.
 */
bool procnet_find_broker(pid_t pid, char *control_path, size_t size);

/* Whether match says so of one of its sockets, of which it is lent a copy; at most 256 are looked
 * at. The tables of /proc/PID/net would take as long as there are connections on the machine. */
bool procnet_has_socket(pid_t pid, bool (*match)(int fd, void *context), void *context);

/* Whether it holds a TCP connection, or an AF_UNIX one that was accepted at a name; also true if
 * there are too many sockets for the time of a turn. */
bool procnet_has_connection(pid_t pid);

#endif
