/*
 * recognise.h - is this fd a shared listener? The fd map is a cache; the kernel knows: the broker's
 * end of a channel is bound to an abstract name, which getpeername(2) tells. So a record that was
 * lost (exec, a vfork child that scribbled on the map, SCM_RIGHTS) is made again. Keeps errno;
 * thread-safe, allocates nothing.
 */
#ifndef SSHIM_SHIM_LISTEN_RECOGNISE_H
#define SSHIM_SHIM_LISTEN_RECOGNISE_H

#include <stdbool.h>

#include "shim/record/vlisten.h"

/* The record of fd, or NULL when it is not a shared listener. A system call only for an fd never
 * seen before. */
struct vlisten *recognise_fd(int fd);

/* As recognise_fd, but asks the kernel although the map says no; for calls that have failed in a
 * way that tells. */
struct vlisten *recognise_again(int fd);

/* The program begins: marks what it has inherited by exec, so that a wait for it makes its record.
 * Without that its waiting would not be seen before its first accept. */
void recognise_find_inherited(void);

/* What the kernel says, whatever the map says; makes no record. */
bool recognise_is_channel(int fd);

#endif
