/*
 * glance.h - reads what may block of an untrusted process, by a helper, see aside.h: its memory
 * (the environment, and what is mapped into it), and what the kernel says of one of its
 * descriptors, and of its threads (/proc/TID/syscall waits for an exec to end). At most the first
 * mebibyte of each is looked at. False also where the process is gone, may not be looked at, or
 * makes the helper wait.
 *
 * /proc/PID/fdinfo of an epoll descriptor takes a mutex of that descriptor (ep_show_fdinfo() of
 * Linux). A thread in epoll_wait(2) holds it while it writes the events, which may be to memory of
 * a file system that does not answer. Nobody may read fdinfo of a worker in the broker itself: also
 * a descriptor that was a socket a moment ago may be an epoll descriptor by now.
 */
#ifndef SSHIM_BROKER_BASE_PROCESS_GLANCE_H
#define SSHIM_BROKER_BASE_PROCESS_GLANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Copies what NAME was in the environment it was started with, cut to size; false: it was not
 * there. */
bool glance_get_environment(pid_t pid, const char *name, char *value, size_t size);

/* Whether a file of this name is mapped into it. */
bool glance_maps(pid_t pid, const char *file_name);

/* What follows prefix in the name of a file that is mapped into it, cut to size, up to the end of
 * the line; false: none has it. */
bool glance_get_mapped_name(pid_t pid, const char *prefix, char *rest, size_t size);

/* Whether this descriptor of it has FD_CLOEXEC. */
bool glance_closes_on_exec(pid_t pid, int fd);

/* Files that an epoll descriptor of it waits for. */
#define GLANCE_POLLED_MAX 1000
struct glance_polled {
    unsigned count;
    uint64_t inos[GLANCE_POLLED_MAX];
};

/* Lists their inodes. False: also if there are more. */
bool glance_list_polled(pid_t pid, int epoll_fd, struct glance_polled *polled);

/* Adds up how often its threads have left a processor. False: also if a thread has one, or waits
 * for one, or for events: in poll(2), select(2), epoll_wait(2) or accept(2). */
bool glance_count_switches(pid_t pid, uint64_t *switches);

#endif
