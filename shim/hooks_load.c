/* hooks_load.c - dlopen: what is loaded with RTLD_DEEPBIND finds libc's calls before ours, and a
 * server whose sockets are in such a module would listen past the broker. */
#include <dlfcn.h>

#include "env.h"
#include "next.h"

#ifndef RTLD_DEEPBIND
#define RTLD_DEEPBIND 0
#endif

/* The call must stay the last thing done, so that it becomes a jump: libc looks at its return
 * address for the object whose search path and namespace count. */
SSHIM_EXPORT void *dlopen(const char *path, int flags)
{
    return NEXT(dlopen)(path, env_managed() ? flags & ~RTLD_DEEPBIND : flags);
}
