/* sole.c - see sole.h. */
#include "sole.h"

#include <errno.h>

#include "direct.h"
#include "fdmap.h"
#include "next.h"

#define AWAIT_TURNS 20 /* of a millisecond each: a broker that was stopped in between */
#define READABLE (POLLIN | POLLRDNORM)

_Atomic bool sole_any;

void sole_note(struct vlisten *listener)
{
    if (board_has_flag(listener->board, BOARD_SOLE))
        atomic_store_explicit(&sole_any, true, memory_order_relaxed);
}

bool sole_is_concerned(struct vlisten *listener)
{
    return board_has_flag(listener->board, BOARD_SOLE) && vlisten_is_nonblock(listener) &&
           !vlisten_is_shut_down(listener);
}

static bool may_take(struct vlisten *listener, bool *gave_way)
{
    *gave_way = atomic_load(&listener->board->broker.taking) != 0;
    return !*gave_way && direct_is_oldest(listener) && board_starving(listener->board) != BOARD_ASK;
}

/* Each says what it does before it looks at the other: two may give way, never both go on. */
bool sole_begin_take(struct vlisten *listener, bool *gave_way)
{
    atomic_fetch_add(&listener->board->worker.takes, 1);
    if (may_take(listener, gave_way))
        return true;
    sole_end_take(listener);
    return false;
}

void sole_end_take(struct vlisten *listener)
{
    atomic_fetch_sub(&listener->board->worker.takes, 1);
}

static bool is_readable(int fd, int timeout_ms)
{
    struct pollfd state = {.fd = fd, .events = POLLIN};
    int saved = errno;
    bool is = NEXT(poll)(&state, 1, timeout_ms) == 1 && (state.revents & POLLIN);

    errno = saved;
    return is;
}

/* What the broker took before it says that it does not is there by now. But it may have given way
 * as well, and then nobody has looked. */
bool sole_await(struct vlisten *listener, int fd, bool gave_way)
{
    if (atomic_load(&listener->board->broker.taking) == 0)
        return gave_way || is_readable(fd, 0);
    for (int turn = 0; turn < AWAIT_TURNS; turn++)
        if (is_readable(fd, 1) || atomic_load(&listener->board->broker.taking) == 0)
            return true;
    return false;
}

bool sole_has_connection(struct vlisten *listener, int fd)
{
    bool gave_way;

    if (atomic_load_explicit(&listener->direct, memory_order_relaxed) ||
        !board_has_flag(listener->board, BOARD_SOLE) ||
        !board_has_worker_flag(listener->board, BOARD_LISTENING) || vlisten_is_shut_down(listener))
        return false;
    do
        if (is_readable(fd, 0) ||
            (may_take(listener, &gave_way) && is_readable(atomic_load(&listener->shadow_fd), 0)))
            return true;
    while (sole_await(listener, fd, gave_way));
    return false;
}

static bool has_become_readable(const struct pollfd *polled)
{
    struct fdmap_entry entry = fdmap_get(polled->fd);

    return (polled->events & READABLE) && !(polled->revents & ~POLLOUT) &&
           entry.kind == FDMAP_LISTENER &&
           sole_has_connection(&vlisten_table[entry.index], polled->fd);
}

int sole_complete_poll(struct pollfd *fds, nfds_t count, int ready)
{
    for (nfds_t i = 0; ready >= 0 && i < count; i++) {
        if (!has_become_readable(&fds[i]))
            continue;
        ready += fds[i].revents == 0;
        fds[i].revents |= fds[i].events & READABLE;
    }
    return ready;
}

int sole_complete_select(uint64_t listeners, fd_set *readable, int ready)
{
    for (uint64_t rest = listeners; ready >= 0 && rest; rest &= rest - 1) {
        struct vlisten *listener = &vlisten_table[__builtin_ctzll(rest)];
        int fd = atomic_load_explicit(&listener->fd, memory_order_relaxed);
        if (fd < 0 || fd >= FD_SETSIZE || FD_ISSET(fd, readable) ||
            !sole_has_connection(listener, fd))
            continue;
        FD_SET(fd, readable);
        ready++;
    }
    return ready;
}
