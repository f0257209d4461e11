/*
 * guard.h - keeps a worker that is stopped by a signal from being ended by the kernel when the
 * broker is killed.
 *
 * The kernel sends SIGHUP and SIGCONT to a process group that has a stopped process when the last
 * parent that is in the group's session and not in the group ends: see setpgid(2),
 * kill_orphaned_pgrp() of Linux. The broker is such a parent. So, while a worker is stopped,
 * another process, the guard, has a child in the worker's group. It outlives the broker, and ends
 * when the worker goes on or ends. A worker that is stopped and has none is lost with what it has
 * in service when the broker is killed: between SIGSTOP and the end of guard_begin() (1 ms, 20 ms
 * under load), while the broker is stopped itself, or while the kernel already ends it. A session
 * of its own (run_child() in spawn.c) needs no guard.
 */
#ifndef SSHIM_BROKER_BASE_PROCESS_GUARD_H
#define SSHIM_BROKER_BASE_PROCESS_GUARD_H

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

/* Gives deputy.h what its new process does. */
void guard_init(void);

/* This child leads its process group and has been stopped. Where that needs no guard, there is
 * none. Returns when it is guarded, after 20 ms at the latest. */
void guard_begin(pid_t pid);

/* Whether this is a guard that lives. */
bool guard_is_pid(pid_t pid);

/* Whether it was a guard that has ended. If the worker is still stopped, another one begins, unless
 * this one could not do its work. */
bool guard_on_child_end(const siginfo_t *info);

#endif
