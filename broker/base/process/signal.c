/* signal.c - see signal.h. */
#include "broker/base/process/signal.h"

#include <errno.h>
#include <signal.h>

int signal_process(pid_t pid, int number)
{
    if (pid > 0)
        return kill(pid, number);
    errno = ESRCH;
    return -1;
}

int signal_group(pid_t leader, int number)
{
    if (leader > 1)
        return kill(-leader, number);
    errno = ESRCH;
    return -1;
}
