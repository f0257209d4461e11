/* old_kernel.c - preloaded into a broker: a kernel before Linux 6.16, which knows no SO_PASSRIGHTS.
 */
#include <dlfcn.h>
#include <errno.h>
#include <sys/socket.h>

#define PASSRIGHTS 83

int setsockopt(int fd, int level, int option, const void *value, socklen_t len)
{
    int (*next)(int, int, int, const void *, socklen_t) =
        (int (*)(int, int, int, const void *, socklen_t))dlsym(RTLD_NEXT, "setsockopt");

    if (level == SOL_SOCKET && option == PASSRIGHTS) {
        errno = ENOPROTOOPT;
        return -1;
    }
    return next(fd, level, option, value, len);
}
