/* announce.c - see announce.h. */
#include "shim/take/announce.h"

#include <errno.h>

#include "shim/base/next.h"
#include "shim/take/fall_back.h"

#define RECALL_TURNS 20 /* of a millisecond each: a broker that was stopped in between */
#define READABLE (POLLIN | POLLRDNORM)

/* initial-exec: the default model would call __tls_get_addr, which may allocate. */
static __thread uint64_t unseen_ready __attribute__((tls_model("initial-exec")));

bool announce_concerns(uint64_t listeners)
{
    for (uint64_t rest = listeners; rest; rest &= rest - 1)
        if (!vlisten_is_nonblock(&vlisten_table[__builtin_ctzll(rest)]))
            return true;
    return false;
}

bool announce_await_recall(struct vlisten *listener)
{
    struct board *board = listener->board;
    int saved = errno;
    int turn = 0;

    while (atomic_load(&board->broker.recalling) && turn++ < RECALL_TURNS)
        NEXT(poll)(NULL, 0, 1);
    errno = saved;
    return turn > 0;
}

/* The broker shuts the canonical socket down when the pool stops, which makes it readable. */
static bool has_backlog(struct vlisten *listener, int fd)
{
    struct pollfd canonical = {.fd = vlisten_real_fd(listener, fd), .events = POLLIN};

    return NEXT(poll)(&canonical, 1, 0) == 1 && !(canonical.revents & POLLHUP);
}

/* Peeks into the channel and leaves the offer there. accept handles anything unexpected. */
static bool has_connection(struct vlisten *listener, int fd)
{
    char byte;
    ssize_t got;

    if (atomic_load(&listener->direct))
        return has_backlog(listener, fd);
    do /* ECONNRESET: the broker died with messages unread; its own are still to come */
        got = NEXT(recv)(fd, &byte, sizeof byte, MSG_PEEK | MSG_DONTWAIT);
    while (got < 0 && errno == ECONNRESET);
    if (got != 0 || vlisten_is_shut_down(listener) || !vlisten_has_fd(listener, fd))
        return got >= 0 || errno != EAGAIN;
    if (board_has_flag(listener->board, BOARD_DRAINING))
        return !fall_back_to_silence(listener, fd);
    fall_back_to_canonical(listener, fd);
    return !atomic_load(&listener->direct) || has_backlog(listener, fd);
}

void announce_insist(struct vlisten *listener)
{
    if (!vlisten_is_nonblock(listener))
        atomic_fetch_or(&listener->board->worker.flags, BOARD_ANNOUNCED | BOARD_ANNOUNCES);
}

/* First the announcement, then the look at `recalling`: either the broker sees the one, or its
 * recall is over before the look into the channel. */
bool announce_confirm(struct vlisten *listener, int fd)
{
    int saved = errno;

    if (vlisten_is_nonblock(listener) || vlisten_is_shut_down(listener))
        return true;
    announce_insist(listener);
    announce_await_recall(listener);
    bool is_there = has_connection(listener, fd);
    if (!is_there)
        announce_withdraw(listener);
    errno = saved;
    return is_there;
}

void announce_withdraw(struct vlisten *listener)
{
    board_set_worker_flag(listener->board, BOARD_ANNOUNCED, false);
}

void announce_withdraw_all(uint64_t listeners)
{
    for (uint64_t rest = listeners; rest; rest &= rest - 1)
        announce_withdraw(&vlisten_table[__builtin_ctzll(rest)]);
}

/* Sets BOARD_ACCEPTING before it clears BOARD_ANNOUNCED: the broker always sees one of them. */
bool announce_consume(struct vlisten *listener)
{
    if (!board_has_worker_flag(listener->board, BOARD_ANNOUNCED))
        return false;
    board_set_worker_flag(listener->board, BOARD_ACCEPTING, true);
    uint32_t flags = atomic_fetch_and(&listener->board->worker.flags, ~BOARD_ANNOUNCED);
    if ((flags & BOARD_ANNOUNCED) && !vlisten_is_nonblock(listener))
        return true;
    announce_end(listener);
    return false;
}

void announce_end(struct vlisten *listener)
{
    board_set_worker_flag(listener->board, BOARD_ACCEPTING, false);
}

/* POLLNVAL, and what may be written, are not our business. */
static int check_polled(struct pollfd *polled, struct vlisten *listener)
{
    short reported = polled->revents;

    if (!(polled->events & READABLE) || (reported & POLLNVAL))
        return 0;
    if (!(reported & (READABLE | POLLHUP | POLLERR))) {
        announce_withdraw(listener);
        return 0;
    }
    if (announce_confirm(listener, polled->fd))
        return 0;
    polled->revents = reported & POLLOUT;
    return polled->revents == 0;
}

int announce_check_poll(struct pollfd *fds, nfds_t count, int ready)
{
    for (nfds_t i = 0; i < count; i++) {
        struct vlisten *listener = vlisten_known(fds[i].fd);
        if (listener)
            ready -= check_polled(&fds[i], listener);
    }
    return ready;
}

int announce_check_select(int count, const fd_set *asked, fd_set *readable, int ready)
{
    for (int fd = 0; fd < count; fd++) {
        bool is_reported = FD_ISSET(fd, readable);
        struct vlisten *listener =
            is_reported || (asked && FD_ISSET(fd, asked)) ? vlisten_known(fd) : NULL;
        if (!listener)
            continue;
        if (!is_reported) {
            announce_withdraw(listener);
        } else if (!asked) {
            announce_insist(listener);
        } else if (!announce_confirm(listener, fd)) {
            FD_CLR(fd, readable);
            ready--;
        }
    }
    return ready;
}

void announce_note_unseen(uint64_t ready_fds)
{
    unseen_ready = ready_fds;
}

void announce_by_unseen(struct vlisten *listener, int fd)
{
    if (unseen_ready & UINT64_C(1) << (fd & 63))
        announce_insist(listener);
}
