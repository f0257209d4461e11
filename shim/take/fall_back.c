/* fall_back.c - see fall_back.h. */
#include "shim/take/fall_back.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

#include "shim/base/next.h"
#include "shim/take/epoll_set.h"
#include "shim/take/wait_exclusive.h"

bool fall_back_show_canonical(struct vlisten *listener, int fd)
{
    if (atomic_exchange(&listener->direct, true))
        return false; /* another thread does it */
    if (epoll_set_retarget(fd, atomic_load(&listener->shadow_fd), FDMAP_UNKNOWN, 0) >= 0)
        return true;
    atomic_store(&listener->direct, false);
    return false;
}

/* Other threads may sit in accept4 on the hidden canonical socket: it stays. */
void fall_back_to_canonical(struct vlisten *listener, int fd)
{
    int saved = errno;

    wait_exclusive_end(listener);
    int flags =
        NEXT(fcntl)(fd, F_GETFL); /* in another thread this may be the canonical socket already */
    if (fall_back_show_canonical(listener, fd))
        vlisten_set_nonblock(listener, flags >= 0 && (flags & O_NONBLOCK));
    errno = saved;
}

bool fall_back_to_silence(struct vlisten *listener, int fd)
{
    int saved = errno;

    if (atomic_exchange(&listener->retired, true))
        return true; /* another thread does it */
    wait_exclusive_end(listener);
    if (atomic_load(&listener->direct) && atomic_load(&listener->shadow_fd) < 0)
        atomic_store(&listener->shadow_fd, vlisten_hide_fd(fd, vlisten_index(listener)));
    int silent_fd = NEXT(socket)(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (silent_fd >= 0 && vlisten_is_nonblock(listener))
        NEXT(fcntl)(silent_fd, F_SETFL, O_NONBLOCK);
    bool done = silent_fd >= 0 && epoll_set_retarget(fd, silent_fd, FDMAP_UNKNOWN, 0) >= 0;
    if (silent_fd >= 0)
        NEXT(close)(silent_fd);
    atomic_store(&listener->retired, done);
    if (done)
        atomic_store(&listener->direct, false);
    errno = saved;
    return done;
}
