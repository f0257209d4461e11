/* close.c - see close.h. */
#include "shim/listen/close.h"

#include <errno.h>
#include <poll.h>

#include "proto/fdpass.h"
#include "shim/base/env.h"
#include "shim/base/fdmap.h"
#include "shim/base/next.h"
#include "shim/take/epoll_set.h"
#include "shim/take/wait_exclusive.h"

#define SETTLE_MS 200

void close_release(struct vlisten *listener)
{
    epoll_set_forget(listener);
    /* others hold the file: closing would not remove it from epoll */
    if (wait_exclusive_release(listener))
        vlisten_finish_release(listener);
}

/* No accept(2) will come for it: resets it, as the kernel does with queued connections of a closed
 * listener. */
static void reset_connection(int conn_fd)
{
    struct linger no_time = {.l_onoff = 1};

    NEXT(setsockopt)(conn_fd, SOL_SOCKET, SO_LINGER, &no_time, sizeof no_time);
    NEXT(close)(conn_fd);
}

void close_reset_offers(int fd)
{
    struct wire_offer offer;
    int conn_fd;
    int saved = errno;

    close_settle();
    while (fdpass_recv(fd, &offer, sizeof offer, &conn_fd, MSG_DONTWAIT | MSG_CMSG_CLOEXEC, NULL) >
           0)
        if (conn_fd >= 0)
            reset_connection(conn_fd);
    errno = saved;
}

/* Exactly one of several threads that close at once is the last. The record is not free before it
 * has been cleared. */
static bool take_last_ref(struct vlisten *listener)
{
    int refs = atomic_load(&listener->refs);

    while (refs > 0 && !atomic_compare_exchange_weak(&listener->refs, &refs,
                                                     refs == 1 ? VLISTEN_CHANGING : refs - 1))
        ;
    return refs == 1;
}

void close_listener_fd(struct vlisten *listener, int fd)
{
    int used_last = fd;

    atomic_compare_exchange_strong(&listener->fd, &used_last, -1);
    if (!take_last_ref(listener))
        return;
    atomic_store(&listener->fd, fd);
    atomic_store(&vlisten_has_closed, true);
    if (atomic_fetch_sub(&listener->board->worker.holders, 1) == 1) {
        epoll_set_remove(listener, fd);
        vlisten_tell_closed(listener);
        if (board_has_flag(listener->board, BOARD_EXACT))
            close_reset_offers(fd);
    }
    close_release(listener);
}

bool close_must_settle(struct vlisten *listener)
{
    return board_has_flag(listener->board, BOARD_EXACT) && atomic_load(&listener->refs) == 1 &&
           atomic_load(&listener->board->worker.holders) == 1;
}

/* Any question will do: the broker looks at the end of a channel before it answers a later one. */
void close_settle(void)
{
    struct wire_attach question = {.head = WIRE_HEAD(WIRE_ATTACH), .auth = env.auth};
    int saved = errno;
    int link_fd = link_open_within(SETTLE_MS);

    if (link_fd >= 0) {
        struct pollfd answer = {.fd = link_fd, .events = POLLIN};
        if (fdpass_send(link_fd, &question, sizeof question, -1, MSG_DONTWAIT) == 0)
            NEXT(poll)(&answer, 1, SETTLE_MS);
        NEXT(close)(link_fd);
    }
    errno = saved;
}

void close_move_hidden(int fd, unsigned index)
{
    struct vlisten *listener = &vlisten_table[index];

    wait_exclusive_end(listener); /* epoll knows it by its number */
    int moved = vlisten_hide_fd(fd, index);

    if (atomic_load(&listener->shadow_fd) == fd)
        atomic_store(&listener->shadow_fd, moved);
    if (atomic_load(&listener->own_fd) == fd)
        atomic_store(&listener->own_fd, moved);
    if (atomic_load(&listener->channel_fd) == fd)
        atomic_store(&listener->channel_fd, moved);
    fdmap_clear(fd);
}
