/* helpers.c - see helpers.h. */
#include "broker/base/process/helpers.h"

#include <stddef.h>
#include <sys/wait.h>
#include <unistd.h>

#define TRIES 100 /* of 1 ms */

bool helpers_bury(pid_t *pids, int count)
{
    bool have_ended = true;

    for (int i = 0; i < count; i++) {
        if (pids[i] && waitpid(pids[i], NULL, __WCLONE | WNOHANG) != 0)
            pids[i] = 0;
        have_ended &= !pids[i];
    }
    return have_ended;
}

bool helpers_await(pid_t *pids, int count)
{
    for (int tries = TRIES; !helpers_bury(pids, count); tries--) {
        if (tries == 0)
            return false;
        usleep(1000);
    }
    return true;
}
