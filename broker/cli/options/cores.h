/* cores.h - how many copies `--workers auto` means. */
#ifndef SSHIM_BROKER_CLI_OPTIONS_CORES_H
#define SSHIM_BROKER_CLI_OPTIONS_CORES_H

/* Cores that this process may run on. */
unsigned cores_usable(void);

/* The affinity mask says where we may run, the cgroup for how long: whichever is less. */
unsigned cores_permitted(void);

/*
 * How many processors the cgroup (version 2) permits: the smallest cpu.max of the group at path
 * ("/", "/system.slice/web.service") and of those above it, below the folder root
 * ("/sys/fs/cgroup"), rounded up. 0: as many as there are.
 */
unsigned cores_cpu_limit(const char *root, const char *path);

#endif
