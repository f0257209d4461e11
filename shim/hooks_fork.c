/* hooks_fork.c - fork(2), for the one thing that pthread_atfork(3) does not tell: that it failed.
 */
#include <unistd.h>

#include "env.h"
#include "hooks.h"
#include "next.h"
#include "vlisten.h"

SSHIM_EXPORT pid_t fork(void)
{
    pid_t pid = NEXT(fork)();

    if (pid < 0 && env_managed())
        vlisten_on_fork_failure();
    return pid;
}
