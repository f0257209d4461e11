/* hooks_load.c - dlopen: what is loaded with RTLD_DEEPBIND finds libc's calls before ours, and a
 * server whose sockets are in such a module would listen past the broker. */
#include <dlfcn.h>

#include "shim/base/env.h"
#include "shim/base/next.h"

#ifndef RTLD_DEEPBIND
#define RTLD_DEEPBIND 0
#endif

/* The call must stay the last thing done, and become a jump whatever the flags of the build: libc
 * looks at its return address for the object whose search path and namespace count. */
#ifdef __clang__
#define RETURN_BY_JUMP __attribute__((musttail)) return
#else
#define RETURN_BY_JUMP return
__attribute__((optimize("O2")))
#endif
SSHIM_EXPORT void *dlopen(const char *path, int flags)
{
    RETURN_BY_JUMP NEXT(dlopen)(path, env_managed() ? flags & ~RTLD_DEEPBIND : flags);
}
