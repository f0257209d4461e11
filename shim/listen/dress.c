/* dress.c - see dress.h. */
#include "shim/listen/dress.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "shim/base/next.h"

void dress_copy_async(int from_fd, int to_fd)
{
    struct f_owner_ex owner;

    if (NEXT(fcntl)(from_fd, F_GETOWN_EX, &owner) == 0 && owner.pid != 0)
        NEXT(fcntl)(to_fd, F_SETOWN_EX, &owner);
    int signal_number = NEXT(fcntl)(from_fd, F_GETSIG);
    if (signal_number > 0)
        NEXT(fcntl)(to_fd, F_SETSIG, signal_number);
}

void dress_channel(int channel_fd, int fd, int status_flags)
{
    struct timeval timeout;
    socklen_t len = sizeof timeout;

    if (NEXT(getsockopt)(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, &len) == 0 &&
        (timeout.tv_sec || timeout.tv_usec))
        NEXT(setsockopt)(channel_fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    if (status_flags & O_ASYNC)
        dress_copy_async(fd, channel_fd);
    if (status_flags & (O_NONBLOCK | O_ASYNC))
        NEXT(fcntl)(channel_fd, F_SETFL, status_flags & (O_NONBLOCK | O_ASYNC));
}
