/*
 * autogroup.h - whether a session of its own is a group of its own for the scheduler, which gives
 * each group the same time: sched(7), "The autogroup feature". A process that a cgroup has put into
 * a group keeps that, whatever its session (task_wants_autogroup() of Linux).
 */
#ifndef SSHIM_BROKER_LIFE_LAUNCH_AUTOGROUP_H
#define SSHIM_BROKER_LIFE_LAUNCH_AUTOGROUP_H

#include <stdbool.h>

/* Whether a session that we begin would be one. */
bool autogroup_is_in_force(void);

/*
 * Whether a cgroup shares the processors out to us: one that is not the root, of a hierarchy with
 * the controller cpu. Version 2 below the folder root ("/sys/fs/cgroup"), where a group with that
 * controller has cpu.weight; our groups are those in the file self ("/proc/self/cgroup").
 */
bool autogroup_has_cgroup(const char *root, const char *self);

#endif
