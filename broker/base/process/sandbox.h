/*
 * sandbox.h - a seccomp filter for the broker itself: the calls that it makes, and no others.
 */
#ifndef SSHIM_BROKER_BASE_PROCESS_SANDBOX_H
#define SSHIM_BROKER_BASE_PROCESS_SANDBOX_H

#include <stdbool.h>

/*
 * From now on this process and what it forks can execute nothing, open no file for writing, change
 * no name in a file system (but where writes_files is set), no user, no namespace and no memory of
 * another process. A call that is not permitted fails with EPERM. Sets no_new_privs. There is no
 * way back. False with the errno of seccomp(2); ENOSYS also if the calls of this machine are not
 * known.
 */
bool sandbox_enter(bool writes_files);

#endif
