/* listen.c - see listen.h. */
#include "shim/listen/listen.h"

#include <errno.h>
#include <fcntl.h>

#include "shim/base/next.h"
#include "shim/listen/claim.h"
#include "shim/listen/close.h"
#include "shim/listen/prefork.h"
#include "shim/take/wait_exclusive.h"

/* After shutdown() the channel is dead for ever; the broker gives a new one, and makes the listener
 * again if it ended with that. */
static int renew_channel(struct vlisten *listener, int fd)
{
    struct link_grant grant;
    int status_flags = NEXT(fcntl)(fd, F_GETFL);
    int result = link_attach(listener->channel, WIRE_ATTACH_RENEW,
                             atomic_load(&listener->shadow_fd), &grant);

    if (result < 0)
        return -1;
    if (grant.verdict != WIRE_SHARED || grant.channel_fd < 0 ||
        claim_install(fd, status_flags, &grant) != CLAIM_DONE)
        result = -1;
    link_grant_finish(&grant);
    return result;
}

int listen_begin(struct vlisten *listener, int fd, int backlog)
{
    if (atomic_load(&listener->direct)) {
        int result = NEXT(listen)(fd, listener->backlog ? listener->backlog : backlog);
        if (result == 0)
            vlisten_mark_listening(listener);
        return result;
    }
    if (atomic_load(&listener->board->worker.flags) & BOARD_SHUT) {
        if (renew_channel(listener, fd) < 0) {
            errno = EADDRINUSE;
            return -1;
        }
        close_release(listener);
        listener = vlisten_known(fd);
        if (!listener) { /* another thread has closed it */
            errno = EBADF;
            return -1;
        }
    }
    if (NEXT(listen)(atomic_load(&listener->shadow_fd),
                     listener->backlog ? listener->backlog : backlog) < 0)
        return -1;
    vlisten_close_hidden(&listener->own_fd);
    atomic_store(&listener->fd, fd);
    vlisten_tell_listening(listener, backlog);
    if (board_has_flag(listener->board, BOARD_DIRECT))
        prefork_begin(listener, fd);
    return 0;
}

int listen_shutdown(struct vlisten *listener, int fd, int how)
{
    if (!vlisten_listens(listener)) {
        errno = ENOTCONN;
        return -1;
    }
    if (how == SHUT_WR)
        return 0; /* tcp(7): a listening socket has nothing to write */
    wait_exclusive_end(listener);
    atomic_fetch_or(&listener->board->worker.flags, BOARD_SHUT);
    atomic_fetch_and(&listener->board->worker.flags, ~(uint32_t)BOARD_LISTENING);
    atomic_store(&listener->fd, fd);
    vlisten_tell_closed(listener);
    if (board_has_flag(listener->board, BOARD_EXACT))
        close_reset_offers(fd);
    if (atomic_load(&listener->direct) && !prefork_end(listener, fd))
        return 0;
    return NEXT(shutdown)(fd, SHUT_RDWR);
}
