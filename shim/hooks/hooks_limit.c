/* hooks_limit.c - the exported calls that move RLIMIT_NOFILE: accept must know where the fd table
 * ends. */
#include <sys/resource.h>

#include "shim/base/env.h"
#include "shim/base/fdroom.h"
#include "shim/base/next.h"
#include "shim/record/vlisten.h"

#ifdef __GLIBC__
#define SET_RESOURCE __rlimit_resource_t
#define GET_RESOURCE enum __rlimit_resource
#else
#define SET_RESOURCE int
#define GET_RESOURCE int
#endif

static int note_limit(int result)
{
    if (result == 0 && env_managed() && vlisten_is_owner()) /* not for a vfork child */
        fdroom_learn_limit();
    return result;
}

SSHIM_EXPORT int setrlimit(SET_RESOURCE resource, const struct rlimit *limit)
{
    return note_limit(NEXT(setrlimit)((int)resource, limit));
}

SSHIM_EXPORT int prlimit(pid_t pid, GET_RESOURCE resource, const struct rlimit *limit,
                         struct rlimit *old)
{
    return note_limit(NEXT(prlimit)(pid, (int)resource, limit, old));
}

#ifdef __GLIBC__
SSHIM_EXPORT int setrlimit64(SET_RESOURCE resource, const struct rlimit64 *limit)
{
    return note_limit(NEXT(setrlimit64)((int)resource, limit));
}

SSHIM_EXPORT int prlimit64(pid_t pid, GET_RESOURCE resource, const struct rlimit64 *limit,
                           struct rlimit64 *old)
{
    return note_limit(NEXT(prlimit64)(pid, (int)resource, limit, old));
}
#endif
