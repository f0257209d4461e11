/* direct.c - see direct.h. */
#include "shim/take/direct.h"

#include <poll.h>

#include "shim/base/next.h"
#include "shim/base/userptr.h"
#include "shim/record/notes.h"

/* How many vain looks, after a success, until only the broker looks again. */
#define LOOKS 8

static bool has_flag(struct vlisten *listener, uint32_t flag)
{
    return board_has_flag(listener->board, flag);
}

/* Whether no offer is on its way to this worker's channel, it does not drain, and the broker need
 * not see each connection: that may begin at any time (`sshim deny`). */
static bool is_oldest(struct vlisten *listener)
{
    struct board *board = listener->board;

    return !has_flag(listener, BOARD_DRAINING | BOARD_THROUGH) &&
           atomic_load_explicit(&board->broker.sent, memory_order_relaxed) ==
               atomic_load_explicit(&board->worker.taken, memory_order_relaxed);
}

/* A worker whose fd table is nearly full leaves it to the others, if the broker finds any. */
bool direct_is_permitted(struct vlisten *listener)
{
    return !board_has_worker_flag(listener->board, BOARD_FDS_LOW) && is_oldest(listener);
}

static uint64_t open_connections(struct vlisten *listener)
{
    struct board_worker *counts = &listener->board->worker;

    return atomic_load_explicit(&counts->taken, memory_order_relaxed) +
           atomic_load_explicit(&counts->direct, memory_order_relaxed) -
           atomic_load_explicit(&counts->closed, memory_order_relaxed);
}

/* Usually none, or a burst of connections that stay would not be spread evenly. */
static bool has_few_connections(struct vlisten *listener)
{
    return open_connections(listener) <=
           atomic_load_explicit(&listener->board->broker.allowance, memory_order_relaxed);
}

/*
 * Under load the next connection is often there before the broker has run. The broker would pick a
 * worker without open connections, so such a worker may look itself, while that pays.
 */
bool direct_may_look(struct vlisten *listener)
{
    return atomic_load_explicit(&listener->looks, memory_order_relaxed) > 0 &&
           has_flag(listener, BOARD_LOOK) && has_few_connections(listener) &&
           direct_is_permitted(listener);
}

static bool look(struct vlisten *listener)
{
    struct pollfd canonical = {.fd = atomic_load(&listener->shadow_fd), .events = POLLIN};

    return NEXT(poll)(&canonical, 1, 0) == 1 && canonical.revents == POLLIN;
}

void direct_note_vain(struct vlisten *listener)
{
    if (board_queue(listener->board) == BOARD_QUEUE_EMPTY)
        atomic_fetch_sub_explicit(&listener->looks, 1, memory_order_relaxed);
}

bool direct_look(struct vlisten *listener)
{
    if (look(listener))
        return true;
    direct_note_vain(listener);
    return false;
}

bool direct_is_free(struct vlisten *listener)
{
    return vlisten_is_nonblock(listener) &&
           !atomic_load_explicit(&listener->direct, memory_order_relaxed) &&
           open_connections(listener) == 0 && direct_is_permitted(listener);
}

bool direct_is_possible(struct vlisten *listener)
{
    enum board_queue queue_waits = board_queue(listener->board);

    if (!vlisten_is_nonblock(listener) ||
        atomic_load_explicit(&listener->direct, memory_order_relaxed))
        return false;
    return queue_waits == BOARD_BACKLOG
               ? has_few_connections(listener) && direct_is_permitted(listener)
               : queue_waits == BOARD_QUEUE_EMPTY && !vlisten_attends(listener) &&
                     direct_may_look(listener);
}

bool direct_is_ready(struct vlisten *listener)
{
    if (board_queue(listener->board) == BOARD_BACKLOG)
        return look(listener);
    return direct_look(listener);
}

int direct_take(struct vlisten *listener, int fd, struct sockaddr *addr, socklen_t *len, int flags)
{
    struct sockaddr_in6 peer = {0};
    socklen_t peer_len = sizeof peer;
    bool is_noted = notes_are_kept(listener);
    int conn_fd =
        NEXT(accept4)(vlisten_real_fd(listener, fd), is_noted ? (struct sockaddr *)&peer : addr,
                      is_noted ? &peer_len : len, flags);

    if (conn_fd < 0)
        return -1;
    if (is_noted) {
        userptr_put_peer(&peer, peer_len, addr, len);
        notes_add_take(listener, conn_fd, &peer);
    }
    atomic_fetch_add_explicit(&listener->board->worker.direct, 1, memory_order_relaxed);
    atomic_store_explicit(&listener->looks, LOOKS, memory_order_relaxed); /* looking pays */
    return conn_fd;
}

void direct_tell(struct vlisten *listener)
{
    atomic_store_explicit(&listener->told, true, memory_order_relaxed);
}

bool direct_was_told(struct vlisten *listener)
{
    return atomic_exchange_explicit(&listener->told, false, memory_order_relaxed);
}
