/* hooks_path.c - the exported calls that remove a file. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "shim/base/env.h"
#include "shim/base/next.h"
#include "shim/listen/guard.h"

SSHIM_EXPORT int unlink(const char *path)
{
    return env_managed() && guard_protects(AT_FDCWD, path) ? 0 : NEXT(unlink)(path);
}

SSHIM_EXPORT int unlinkat(int folder_fd, const char *path, int flags)
{
    return env_managed() && flags == 0 && guard_protects(folder_fd, path)
               ? 0
               : NEXT(unlinkat)(folder_fd, path, flags);
}

SSHIM_EXPORT int remove(const char *path)
{
    return env_managed() && guard_protects(AT_FDCWD, path) ? 0 : NEXT(remove)(path);
}
