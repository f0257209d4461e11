/* init.c - what happens when the library is loaded: nothing that a process without $SSHIM_BROKER
 * could notice. */
#include <pthread.h>

#include "shim/base/env.h"
#include "shim/base/fdroom.h"
#include "shim/base/next.h"
#include "shim/record/vlisten.h"
#include "shim/take/wait.h"

static void on_fork_child(void)
{
    wait_on_fork();
    vlisten_on_fork();
    fdroom_on_fork();
}

__attribute__((constructor)) static void init(void)
{
    next_resolve();
    if (env_managed())
        pthread_atfork(vlisten_before_fork, NULL, on_fork_child);
}
