/* oom.h - whether the kernel has killed a process for want of memory: its cgroup counts that. */
#ifndef SSHIM_BROKER_DIAGNOSE_OOM_H
#define SSHIM_BROKER_DIAGNOSE_OOM_H

#include <stdbool.h>
#include <stdint.h>

/* How many processes of our cgroup the kernel has killed so: memory.events of version 2, else
 * memory.oom_control of version 1 (since Linux 4.13), below the folder root ("/sys/fs/cgroup"), as
 * the file self ("/proc/self/cgroup") names our groups. False: it is not told. */
bool oom_count(const char *root, const char *self, uint64_t *count);

/* Begins to count. */
void oom_init(void);

/* A child was ended by SIGKILL: whether the kernel did that for want of memory. */
bool oom_is_cause(void);

#endif
