/* canonical.c - see canonical.h. */
#include "shim/accept/canonical.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/time.h>
#ifdef __GLIBC__
#include <sys/single_threaded.h>
#endif

#include "shim/base/next.h"
#include "shim/take/direct.h"
#include "shim/take/fall_back.h"

static int status_flags(int fd)
{
    int flags = NEXT(fcntl)(fd, F_GETFL);
    return flags < 0 ? 0 : flags;
}

int canonical_timeout_ms(int fd)
{
    struct timeval timeout = {0};
    socklen_t len = sizeof timeout;

    NEXT(getsockopt)(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, &len);
    if (timeout.tv_sec == 0 && timeout.tv_usec == 0)
        return -1;
    if (timeout.tv_sec >= INT_MAX / 1000)
        return INT_MAX; /* 24 days are as long as poll can wait */
    return (int)(timeout.tv_sec * 1000 + (timeout.tv_usec + 999) / 1000);
}

/*
 * Blocking in accept4 itself is best: one thread is woken for a connection, and a signal restarts
 * it. But only an emulated accept can be ended by shutdown() in another thread, and only a
 * non-blocking socket gives EAGAIN.
 */
static bool must_emulate_blocking(struct vlisten *listener)
{
#ifdef __GLIBC__
    return !__libc_single_threaded || vlisten_is_nonblock(listener);
#else
    (void)listener;
    return true;
#endif
}

static void emulate_blocking(struct vlisten *listener, int fd)
{
    if (atomic_exchange(&listener->emulates_blocking, true))
        return;
    NEXT(fcntl)(fd, F_SETFL, status_flags(fd) | O_NONBLOCK);
}

/* False: errno is what accept gives. */
static bool wait_for_connection(struct vlisten *listener, int fd, bool is_over)
{
    struct pollfd fds[] = {
        {.fd = is_over ? -1 : fd, .events = POLLIN},
        {.fd = atomic_load(&listener->channel_fd)}, /* hangs up at shutdown() */
    };

    for (;;) {
        int ready = NEXT(poll)(fds, 2, canonical_timeout_ms(fd));
        if (ready == 0)
            errno = EAGAIN;
        if (ready <= 0)
            return false;
        if (!fds[1].revents || vlisten_is_shut_down(listener))
            return true;
        fds[1].fd = -1; /* the broker has died */
    }
}

int canonical_accept(struct vlisten *listener, int fd, struct sockaddr *addr, socklen_t *len,
                     int flags, bool at_once)
{
    for (;;) {
        if (board_has_flag(listener->board, BOARD_DRAINING) && fall_back_to_silence(listener, fd))
            return CANONICAL_OVER;
        if (!atomic_load(&listener->direct))
            return CANONICAL_OVER;
        int real_fd = vlisten_real_fd(listener, fd); /* fd itself may be the channel at any time */
        if (at_once || must_emulate_blocking(listener))
            emulate_blocking(listener, real_fd);
        int conn_fd = direct_take(listener, fd, addr, len, flags);
        bool is_over = conn_fd < 0 && errno == EINVAL;
        if (conn_fd >= 0 || (errno != EAGAIN && !is_over))
            return conn_fd;
        if (is_over && vlisten_is_shut_down(listener))
            return -1;
        errno = at_once ? ECONNABORTED : EAGAIN;
        if (at_once || vlisten_is_nonblock(listener) ||
            (!is_over && !(status_flags(real_fd) & O_NONBLOCK)))
            return -1; /* or SO_RCVTIMEO has passed */
        if (!wait_for_connection(listener, real_fd, is_over))
            return -1;
        if (!vlisten_has_fd(listener, fd)) {
            errno = EBADF;
            return -1;
        }
    }
}
