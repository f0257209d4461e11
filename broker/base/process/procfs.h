/*
 * procfs.h - reads /proc about untrusted processes. Snapshots: a process may be gone, or another
 * one, when the call returns. Gives false or 0 if /proc cannot be read, or if the turn has no more
 * time: the size of a process is not bounded.
 */
#ifndef SSHIM_BROKER_BASE_PROCESS_PROCFS_H
#define SSHIM_BROKER_BASE_PROCESS_PROCFS_H

#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Whether there is time is asked by this function, see turn_has_time(); without it there always is.
 */
void procfs_init(bool (*has_time)(void));

/* The parent, or 0. */
pid_t procfs_parent(pid_t pid);

/* The process that a thread is of, or 0. */
pid_t procfs_process_of(pid_t thread);

/* When it was started, in clock ticks since the machine was (the low 32 bits): tells a process from
 * a later one with the same pid. 0: there is no such process. */
uint32_t procfs_birth(pid_t pid);

/*
 * The same of a process that was made since from was procfs_birth_now(): it is known without a look
 * if that is still so. The first time it is compared with what the kernel says; where both differ,
 * the kernel is asked each time.
 */
uint32_t procfs_birth_now(void);
uint32_t procfs_birth_since(pid_t pid, uint32_t from);

/* Whether it was stopped by a signal, or by a debugger. False when it is gone. */
bool procfs_is_stopped(pid_t pid);

/* How much memory it has resident; 0 when it is gone. */
uint64_t procfs_resident_bytes(pid_t pid);

/* Whether it has a processor, or waits for one. */
bool procfs_is_running(pid_t pid);

/* Whether it has given up its memory and not its children yet. */
bool procfs_is_ending(pid_t pid);

/* Processes. */
#define PROCFS_LIST_MAX 2048
struct procfs_list {
    pid_t at[PROCFS_LIST_MAX];
    unsigned count;
    bool is_whole; /* false: there were more, or this turn had no time */
    bool keeps_newest;
};

/* The children of this process, oldest first; of too many the newest. Some may have ended. Misses
 * one while others end: look again where it matters. */
void procfs_list_children(pid_t parent, struct procfs_list *list);

/* This process and its descendants that have not ended, parents first. */
void procfs_list_tree(pid_t root, struct procfs_list *list);

/* The next process of /proc, or thread of /proc/PID/task, which opendir(3) has opened; 0: there is
 * none. */
pid_t procfs_next(DIR *folder);

/* Calls visit for every process. */
void procfs_each(void (*visit)(pid_t pid, void *context), void *context);

/* Its uid, real and effective; false if these differ. The owner of its files in /proc would not do:
 * that is root for a process that is not dumpable. */
bool procfs_get_uid(pid_t pid, uid_t *uid);

/* The name of its program, 15 bytes at the most; "?" when it is gone. */
void procfs_get_command(pid_t pid, char *name, size_t size);

/* Calls visit for each of its descriptors, with what that links to ("socket:[4711]"), until visit
 * gives false. False: the turn had no time for all. */
bool procfs_each_link(pid_t pid, bool (*visit)(int fd, const char *link, void *context),
                      void *context);

/* The same from this descriptor on, which becomes the one to go on with in another turn. */
bool procfs_each_link_from(pid_t pid, int *fd,
                           bool (*visit)(int fd, const char *link, void *context), void *context);

/* Whether a descriptor of one of these processes was found to link there, as "anon_inode:[...]". */
bool procfs_list_has_link(const struct procfs_list *list, const char *wanted);

/* The number of one of its descriptors of the socket with this inode, or -1. */
int procfs_find_socket(pid_t pid, ino_t ino);
/* Whether it, or a descendant, has an fd of the socket with this inode; also true if the turn has
 * no time to look. */
bool procfs_tree_holds_socket(pid_t root, ino_t ino);

/* Whether the kernel has told its loader that it gained rights by its execution (AT_SECURE). */
bool procfs_is_secure(pid_t pid);

#endif
