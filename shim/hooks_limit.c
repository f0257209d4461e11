/* hooks_limit.c - the exported calls that move RLIMIT_NOFILE: accept must know where the fd table
 * ends. */
#include <sys/resource.h>

#include "env.h"
#include "next.h"
#include "vlisten.h"

static int note_limit(int result)
{
    if (result == 0 && env_managed() && vlisten_is_owner()) /* not for a vfork child */
        vlisten_learn_fd_limit();
    return result;
}

SSHIM_EXPORT int setrlimit(__rlimit_resource_t resource, const struct rlimit *limit)
{
    return note_limit(NEXT(setrlimit)((int)resource, limit));
}

SSHIM_EXPORT int setrlimit64(__rlimit_resource_t resource, const struct rlimit64 *limit)
{
    return note_limit(NEXT(setrlimit64)((int)resource, limit));
}

SSHIM_EXPORT int prlimit(pid_t pid, enum __rlimit_resource resource, const struct rlimit *limit,
                         struct rlimit *old)
{
    return note_limit(NEXT(prlimit)(pid, (int)resource, limit, old));
}

SSHIM_EXPORT int prlimit64(pid_t pid, enum __rlimit_resource resource, const struct rlimit64 *limit,
                           struct rlimit64 *old)
{
    return note_limit(NEXT(prlimit64)(pid, (int)resource, limit, old));
}
