/* next.c - dlsym(RTLD_NEXT), see dlsym(3). */
#include "shim/base/next.h"

#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>

struct next_table next_table;

static long missing(void)
{
    errno = ENOSYS;
    return -1;
}

static void *find(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    return found ? found : (void *)missing;
}

void next_resolve(void)
{
    int saved = errno;
#define X(type, name, args)                                                                        \
    __atomic_store_n((void **)&next_table.name, find(#name), __ATOMIC_RELEASE);
    NEXT_CALLS(X)
#undef X
    errno = saved;
}
