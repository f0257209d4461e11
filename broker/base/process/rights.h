/*
 * rights.h - the capabilities of the broker, capabilities(7).
 */
#ifndef SSHIM_BROKER_BASE_PROCESS_RIGHTS_H
#define SSHIM_BROKER_BASE_PROCESS_RIGHTS_H

#include <stdbool.h>

/* Whether root's execution of the broker's program anew, as an upgrade does it, gives back what is
 * given up. */
bool rights_come_back(void);

/*
 * Keeps of the capabilities: CAP_NET_BIND_SERVICE (low ports), CAP_KILL (signals to workers), and
 * CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH (what /proc says of workers, their sockets: pidfd_getfd).
 * writes_files: also CAP_DAC_OVERRIDE, for a folder of another user. False with the errno of
 * capset(2).
 */
bool rights_reduce(bool writes_files);

#endif
