/* fall_back.c - see fall_back.h. */
#include "shim/take/fall_back.h"

#include <errno.h>
#include <fcntl.h>

#include "shim/base/next.h"
#include "shim/base/retarget.h"
#include "shim/take/attend.h"

bool fall_back_show_canonical(struct vlisten *listener, int fd)
{
    int fds[RETARGET_MAX];

    if (atomic_exchange(&listener->direct, true))
        return false; /* another thread does it */
    if (retarget(fd, atomic_load(&listener->shadow_fd), fds) >= 0)
        return true;
    atomic_store(&listener->direct, false);
    return false;
}

/* Other threads may sit in accept4 on the hidden canonical socket: it stays. */
void fall_back_to_canonical(struct vlisten *listener, int fd)
{
    int saved = errno;

    attend_end(listener);
    int flags =
        NEXT(fcntl)(fd, F_GETFL); /* in another thread this may be the canonical socket already */
    if (fall_back_show_canonical(listener, fd))
        vlisten_set_nonblock(listener, flags >= 0 && (flags & O_NONBLOCK));
    errno = saved;
}
