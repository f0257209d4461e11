/* fds.h - descriptors: memory that other processes can have, and a close that keeps errno. */
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

#endif
