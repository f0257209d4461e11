/*
 * fds.h - descriptors: memory that other processes can have, a close that keeps errno, options of
 * sockets, and sockets that take no descriptors.
 */
#ifndef SSHIM_BROKER_BASE_LOOP_FDS_H
#define SSHIM_BROKER_BASE_LOOP_FDS_H

#include <stdbool.h>
#include <stddef.h>

/* Memory of this size, all zero, that becomes real where it is used; may_seal: F_ADD_SEALS works on
 * it, see fcntl(2). A descriptor, close-on-exec, or -1 with the errno of memfd_create(2) or
 * ftruncate(2). */
int fds_make_memory(const char *name, size_t size_bytes, bool may_seal);

/* Maps it to be read and written (borrows fd). NULL with the errno of mmap(2). */
void *fds_map_memory(int fd, size_t size_bytes);

/* Closes fd (takes, -1 permitted), and keeps errno. */
void fds_close(int fd);

/* An option of SOL_SOCKET that is an int. -1: fd (borrows, of any kind) is no socket, or the kernel
 * does not know the option. Never sleeps. */
int fds_get_option(int fd, int option);

/* From now on no peer can send descriptors to this socket of AF_UNIX (borrows), or to what is
 * accepted from it: EPERM if it tries. Else those that we do not receive are closed by our own
 * recvmsg(2), which may sleep. False: the kernel cannot do that (since Linux 6.16, SO_PASSRIGHTS).
 */
bool fds_refuse(int socket_fd);

/* From now on they can again, as at first. */
void fds_permit(int socket_fd);

#endif
