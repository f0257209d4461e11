/*
 * epoll_set.h - which listeners are registered in which epoll fd of the program, and with which
 * event: for events that the library reports by itself.
 *
 * A set belongs to its epoll fd from the first registration of a listener until the last descriptor
 * of that epoll fd is closed. It is filled by epoll_ctl(2) as the hooks see it. Processes that
 * share an epoll fd after fork(2) may change each other's registrations, unseen; there the kernel
 * is asked by kcmp(2), which changes nothing. Nothing here writes to the program's epoll fd but
 * epoll_set_control() and epoll_set_remove(), which the program asks for.
 *
 * Lock-free, thread-safe, keeps errno.
 */
#ifndef SSHIM_SHIM_TAKE_EPOLL_SET_H
#define SSHIM_SHIM_TAKE_EPOLL_SET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "shim/base/fdmap.h"
#include "shim/record/vlisten.h"

#define EPOLL_SETS 256   /* as many as fdmap.h has room for */
#define EPOLL_SET_ROOM 8 /* registrations a set; further listeners go through the broker */
#define EPOLL_SET_NONE (-1)

/* epoll_ctl(2); notes what it did to a listener. errno is that of epoll_ctl(2). */
int epoll_set_control(int epoll_fd, int operation, int fd, struct epoll_event *event);

/*
 * Puts new_fd's file (borrowed) behind fd and all its dups; what they are is noted in the fd map
 * (FDMAP_UNKNOWN: the map stays as it is).
 * Their registrations are deleted before and added after, or the old file's events would go on
 * (epoll(7), "Will closing a file descriptor..."). Returns how many descriptors, or -1 with the
 * errno of dup3(2).
 */
int epoll_set_retarget(int fd, int new_fd, enum fdmap_kind kind, unsigned index);

/* The set of this epoll fd, or EPOLL_SET_NONE. */
int epoll_set_of(int epoll_fd);

/* The listeners in a set (bit = index). EPOLL_SET_NONE has none. */
uint64_t epoll_set_listeners(int set);

/*
 * Whether this listener is registered in the set in a way that can be reported: then *event is what
 * the program expects. With ask, the kernel is asked where another process may have changed it.
 */
bool epoll_set_find(int set, const struct vlisten *listener, bool ask, struct epoll_event *event);

/* Whether fd, which is a listener, is registered in epoll_fd past the hooks: adds it to the set.
 * One system call. */
bool epoll_set_learn(int epoll_fd, const struct vlisten *listener, int fd);

/* One more descriptor of the epoll fd; fd is about to be closed. */
void epoll_set_add_fd(int set, int fd);
void epoll_set_drop_fd(int set, int fd);

/* The listener's record is free. */
void epoll_set_forget(const struct vlisten *listener);

/* The last descriptor of a listener is about to be closed: takes it out of every epoll fd. The
 * broker holds the file for a while, so that closing alone would leave it registered. */
void epoll_set_remove(const struct vlisten *listener, int fd);

#endif
