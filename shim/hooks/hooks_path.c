/* hooks_path.c - the exported calls that remove a file. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "shim/base/env.h"
#include "shim/base/next.h"
#include "shim/listen/guard.h"

SSHIM_EXPORT int unlink(const char *path)
{
    int result;

    return env_managed() && guard_unlink(AT_FDCWD, path, &result) ? result : NEXT(unlink)(path);
}

SSHIM_EXPORT int unlinkat(int folder_fd, const char *path, int flags)
{
    int result;

    return env_managed() && flags == 0 && guard_unlink(folder_fd, path, &result)
               ? result
               : NEXT(unlinkat)(folder_fd, path, flags);
}

SSHIM_EXPORT int remove(const char *path)
{
    int result;

    return env_managed() && guard_unlink(AT_FDCWD, path, &result) ? result : NEXT(remove)(path);
}
