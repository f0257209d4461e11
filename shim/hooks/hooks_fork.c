/* hooks_fork.c - counts a child among the holders of each listener. fork(2) is hooked because
 * pthread_atfork(3) does not report that it failed. */
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "shim/base/env.h"
#include "shim/base/next.h"
#include "shim/hooks/hooks.h"
#include "shim/record/vlisten.h"

/* By this thread, for a child that is not there yet. A bit for each record. */
static __thread uint64_t counted_ahead[VLISTEN_MAX / 64] __attribute__((tls_model("initial-exec")));

/* Counted before the child is there: the parent may close before the child runs. */
void vlisten_before_fork(void)
{
    memset(counted_ahead, 0, sizeof counted_ahead);
    atomic_fetch_add(&vlisten_forks, 1);
    for (unsigned i = 0; i < VLISTEN_MAX; i++)
        if (atomic_load(&vlisten_table[i].refs) > 0) {
            atomic_fetch_add(&vlisten_table[i].board->worker.holders, 1);
            counted_ahead[i / 64] |= UINT64_C(1) << i % 64;
        }
}

void vlisten_on_fork_failure(void)
{
    for (unsigned i = 0; i < VLISTEN_MAX; i++)
        if (counted_ahead[i / 64] & UINT64_C(1) << i % 64)
            atomic_fetch_sub(&vlisten_table[i].board->worker.holders, 1);
    memset(counted_ahead, 0, sizeof counted_ahead);
}

SSHIM_EXPORT pid_t fork(void)
{
    pid_t pid = NEXT(fork)();

    if (pid < 0 && env_managed())
        vlisten_on_fork_failure();
    return pid;
}
