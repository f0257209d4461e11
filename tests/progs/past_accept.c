/* past_accept.c - a preloaded library whose accept4(2) is that of the C library itself, whatever
 * was preloaded behind it, as that of torsocks(1). */
#include <dlfcn.h>
#include <sys/socket.h>

int accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags)
{
    static int (*libc)(int, struct sockaddr *, socklen_t *, int);

    if (!libc)
        *(void **)&libc = dlsym(dlopen("libc.so.6", RTLD_LAZY), "accept4");
    return libc(fd, addr, len, flags);
}
