/*
 * retarget.h - puts another file behind fd numbers that the program already uses. Finds them and
 * their epoll registrations; epoll_set.h moves the registrations.
 */
#ifndef SSHIM_SHIM_BASE_RETARGET_H
#define SSHIM_SHIM_BASE_RETARGET_H

#include <stdbool.h>
#include <sys/epoll.h>

/* Dups of one socket, and epoll registrations of it, that are followed. */
#define RETARGET_MAX 1024
#define RETARGET_TEXT 1024

struct retarget_registration {
    int epoll_fd;
    int fd;
    struct epoll_event event;
};

/* What is used first comes first: of the plan of a usual server one page is touched. */
struct retarget_plan {
    int fd_count;
    int registration_count;
    bool is_blind;         /* there is no /proc to read: it has the one fd, and no registration */
    int fds[RETARGET_MAX]; /* the number that was asked for is the first */
    struct retarget_registration registrations[RETARGET_MAX];
    char text[RETARGET_TEXT]; /* of fdinfo */
};

/*
 * Every fd of this process that refers to the same socket as fd, and their epoll registrations, as
 * /proc/self tells (proc(5), fdinfo). Descriptors hidden by the shim are left out. Without /proc
 * the plan has fd alone. It lies in memory of its own, since the program's stack may be small; NULL
 * with the errno of mmap(2).
 */
struct retarget_plan *retarget_plan_create(int fd);
void retarget_plan_destroy(struct retarget_plan *plan);

/* Puts new_fd's file (borrowed) behind each fd of the plan, each with its own FD_CLOEXEC. 0, or -1
 * with the errno of dup3(2). */
int retarget_replace(const struct retarget_plan *plan, int new_fd);

/* Calls visit for every fd number of this process that is open, which visit may close. False, and
 * for none: there is no /proc, or it may not be read. */
bool retarget_each_open_fd(void (*visit)(int fd, void *context), void *context);

#endif
