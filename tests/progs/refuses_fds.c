/* refuses_fds.c - a preloaded library that lets no descriptor come in by recvmsg(2), as torsocks(8)
 * does. */
#include <dlfcn.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
    static ssize_t (*next)(int, struct msghdr *, int);
    int passed_fd;

    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "recvmsg");
    ssize_t got = next(fd, message, flags);
    struct cmsghdr *control = got < 0 ? NULL : CMSG_FIRSTHDR(message);
    if (!control || control->cmsg_type != SCM_RIGHTS)
        return got;
    memcpy(&passed_fd, CMSG_DATA(control), sizeof passed_fd);
    close(passed_fd);
    errno = EACCES;
    return -1;
}
