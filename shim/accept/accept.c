/*
 * accept.c - accept() on a shared listener: one recvmsg on the channel, or, where connections wait
 * and this thread would block anyway, one accept4 on the canonical socket.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>

#include "proto/fdpass.h"
#include "shim/accept/accept.h"

#include "shim/accept/canonical.h"
#include "shim/base/fdroom.h"
#include "shim/base/next.h"
#include "shim/base/userptr.h"
#include "shim/record/notes.h"
#include "shim/record/proxied.h"
#include "shim/record/vlisten.h"
#include "shim/take/announce.h"
#include "shim/take/direct.h"
#include "shim/take/fall_back.h"
#include "shim/take/wait.h"
#include "shim/take/wait_exclusive.h"

/* One accept() of the program. */
struct call {
    struct vlisten *listener;
    int fd;
    struct sockaddr *addr;
    socklen_t *len;
    int flags;
    bool nonblock; /* the listener does not block */
    bool at_once;  /* a wait has reported that a connection is there: this call must not block */
};

/* What wire_check() asks of a WIRE_OFFER. Nothing else comes here. */
static bool is_offer(const struct wire_offer *offer, size_t got)
{
    return got >= WIRE_OFFER_MIN &&
           memcmp(&offer->head, &WIRE_HEAD(WIRE_OFFER), sizeof offer->head) == 0 &&
           got - WIRE_OFFER_MIN == offer->addr_len;
}

static void match_nonblock(int conn_fd, const struct wire_offer *offer, int flags)
{
    bool have = (offer->flags & WIRE_OFFER_NONBLOCK) != 0;
    bool want = (flags & SOCK_NONBLOCK) != 0;

    if (have != want)
        NEXT(fcntl)
    (conn_fd, F_SETFL, (NEXT(fcntl)(conn_fd, F_GETFL) & ~O_NONBLOCK) | (want ? O_NONBLOCK : 0));
}

/* The canonical socket never blocks here. The broker shuts it for all when the pool stops: no
 * client connects to this program any more. */
static int try_directly(const struct call *call)
{
    int conn_fd = direct_take(call->listener, call->fd, call->addr, call->len, call->flags);

    if (conn_fd < 0 && errno == EINVAL && !vlisten_is_shut_down(call->listener))
        errno = EAGAIN;
    return conn_fd;
}

/* The event loop was told that a connection is there. The kernel, unlike wait_take_turn, also wakes
 * exclusive waiters that have connections by now; those must decline. */
static bool is_still_free(struct vlisten *listener)
{
    if (!vlisten_attends(listener))
        return direct_is_permitted(listener);
    if (board_queue(listener->board) != BOARD_ASK && direct_is_free(listener)) {
        wait_exclusive_note_success(listener);
        return true;
    }
    wait_exclusive_yield(listener);
    return false;
}

/* accept() is about to block, or the loop was told of a connection: whether to try the canonical
 * socket first. */
static bool should_take_directly(const struct call *call)
{
    struct vlisten *listener = call->listener;

    if (call->nonblock)
        return atomic_load_explicit(&listener->told, memory_order_relaxed) &&
               direct_was_told(listener) && is_still_free(listener);
    enum board_queue queue_waits = board_queue(listener->board);
    if (queue_waits == BOARD_BACKLOG)
        return direct_is_permitted(
            listener); /* one is there: an accept4 that succeeds needs no look */
    return queue_waits == BOARD_QUEUE_EMPTY && direct_may_look(listener) && direct_look(listener);
}

/* EMFILE: there is no number for it; it stays queued. */
static ssize_t receive_with_proof(const struct call *call, struct wire_offer *offer, int *conn_fd,
                                  int flags)
{
    ssize_t got = -1;
    int old_state;

    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old_state);
    fdroom_begin_turn();
    if (fdroom_prove(call->fd))
        got = fdpass_recv(call->fd, offer, sizeof *offer, conn_fd, flags | MSG_DONTWAIT, NULL);
    else
        errno = EMFILE;
    fdroom_end_turn();
    pthread_setcancelstate(old_state, NULL);
    return got;
}

/*
 * Near the end of the fd table recvmsg would destroy the connection (unix(7): no room, MSG_CTRUNC).
 * accept(2) finds a number before it waits, so EMFILE comes first here, too.
 */
static ssize_t receive_carefully(const struct call *call, struct wire_offer *offer, int *conn_fd,
                                 int flags)
{
    struct pollfd readable = {.fd = call->fd, .events = POLLIN};

    for (;;) {
        ssize_t got = receive_with_proof(call, offer, conn_fd, flags);
        if (got >= 0 || errno != EAGAIN || call->nonblock || call->at_once)
            return got;
        int ready = NEXT(poll)(&readable, 1, canonical_timeout_ms(call->fd));
        if (ready == 0)
            errno = EAGAIN;
        if (ready <= 0)
            return -1;
    }
}

/* Waits on the channel as recvmsg does; raises `waiting` meanwhile if this may block. */
static ssize_t receive(const struct call *call, struct wire_offer *offer, int *conn_fd)
{
    int flags =
        (call->flags & SOCK_CLOEXEC ? MSG_CMSG_CLOEXEC : 0) | (call->at_once ? MSG_DONTWAIT : 0);
    bool may_block = !call->at_once && !call->nonblock;

    if (may_block)
        wait_begin(vlisten_bit(call->listener));
    ssize_t got = fdroom_is_scarce(call->fd)
                      ? receive_carefully(call, offer, conn_fd, flags)
                      : fdpass_recv(call->fd, offer, sizeof *offer, conn_fd, flags, NULL);
    if (may_block)
        wait_end();
    return got;
}

/* What a worker does only if its waiting cannot be seen, or if it keeps notes. */
static void tell_of_take(struct vlisten *listener, int conn_fd)
{
    struct board *board = listener->board;

    if (board_has_flag(board, BOARD_WAIT_INVISIBLE) && board_claim_wake(board))
        vlisten_wake_broker(listener);
    if (notes_are_kept(listener))
        notes_forget_take(conn_fd);
}

static void finish_take(struct vlisten *listener, const struct wire_offer *offer, int conn_fd,
                        int flags)
{
    struct board *board = listener->board;

    atomic_fetch_add(&board->worker.taken, 1);
    if (board_has_flag(board, BOARD_WAIT_INVISIBLE | BOARD_NOTES))
        tell_of_take(listener, conn_fd);
    if (offer->flags >> WIRE_OFFER_USE_SHIFT)
        proxied_note_use(offer->flags >> WIRE_OFFER_USE_SHIFT);
    match_nonblock(conn_fd, offer, flags);
}

/* The program shut it down or closed it, this worker is over, or the broker died. */
static int on_end_of_file(struct vlisten *listener, int fd)
{
    if (vlisten_is_shut_down(listener)) {
        errno = EINVAL;
        return -1;
    }
    if (!vlisten_has_fd(listener, fd)) {
        errno = EBADF;
        return -1;
    }
    if (board_has_flag(listener->board, BOARD_DRAINING)) {
        if (fall_back_to_silence(listener, fd))
            return CANONICAL_OVER; /* where nothing comes */
        errno = EMFILE;
        return -1;
    }
    fall_back_to_canonical(listener, fd);
    if (atomic_load(&listener->direct))
        return CANONICAL_OVER; /* take the other way */
    errno = EMFILE;            /* the canonical socket could not be put there */
    return -1;
}

/* A datagram that brought no connection for the program. */
static void discard(struct vlisten *listener, const struct wire_offer *offer, size_t got,
                    int conn_fd)
{
    if (conn_fd >= 0) {
        NEXT(close)(conn_fd);
    } else if (is_offer(offer, got)) {
        atomic_fetch_add(&listener->board->worker.taken, 1);
        atomic_fetch_add(&listener->board->worker.lost, 1);
        fdroom_learn_limit(); /* prlimit(1) may have lowered it since the last look */
    }
}

/* What a wait reported was taken back before this thread came to accept: accept(2) has one errno
 * for a connection that went away. It must not wait, see announce.h. True: look once more. */
static bool is_being_recalled(struct vlisten *listener, int *looks)
{
    if (announce_await_recall(listener) && (*looks)++ == 0)
        return true;
    errno = ECONNABORTED;
    return false;
}

static int take_offer(const struct call *call)
{
    struct vlisten *listener = call->listener;
    struct wire_offer offer;
    int conn_fd;
    int looks = 0;

    for (;;) {
        if (should_take_directly(call)) {
            conn_fd = try_directly(call);
            if (conn_fd >= 0 || errno != EAGAIN)
                return conn_fd;
        }
        ssize_t got = receive(call, &offer, &conn_fd);
        if (got < 0 && errno == ECONNRESET)
            continue; /* the broker died with messages unread; its own are still to come */
        if (got < 0 && errno == EAGAIN && call->at_once && is_being_recalled(listener, &looks))
            continue;
        if (got < 0)
            return -1;
        if (conn_fd >= 0 && is_offer(&offer, (size_t)got)) {
            userptr_put_peer(offer.addr, offer.addr_len, call->addr, call->len);
            finish_take(listener, &offer, conn_fd, call->flags);
            return conn_fd;
        }
        if (got == 0)
            return on_end_of_file(listener, call->fd);
        discard(listener, &offer, (size_t)got, conn_fd);
    }
}

/* An argument that accept(2) refuses only once a connection is there; ours stays queued. */
static int refuse(const struct call *call, int error)
{
    struct pollfd readable = {.fd = call->fd, .events = POLLIN};
    int timeout_ms = call->at_once || call->nonblock ? 0 : canonical_timeout_ms(call->fd);
    int ready = NEXT(poll)(&readable, 1, timeout_ms);

    if (ready >= 0)
        errno = ready != 0 ? error : call->at_once ? ECONNABORTED : EAGAIN;
    if (call->at_once)
        announce_end(call->listener);
    return -1;
}

/* Whether a wait has reported that a connection is there, so that this listener must not block. */
static bool was_reported(struct vlisten *listener, int fd)
{
    return announce_consume(listener) ||
           (!vlisten_is_nonblock(listener) && wait_may_have_reported(listener, fd));
}

/* 0, or the errno for these places to put the peer's address. */
static int check_room(const struct sockaddr *addr, const socklen_t *len)
{
    if (!addr)
        return 0;
    if (!userptr_is_writable(len, sizeof *len, USERPTR_LEN))
        return EFAULT;
    if ((int)*len < 0)
        return EINVAL;
    size_t used = *len < WIRE_ADDRESS_MAX ? *len : WIRE_ADDRESS_MAX;
    return userptr_is_writable(addr, used, USERPTR_ADDR) ? 0 : EFAULT;
}

int accept_connection(struct vlisten *listener, int fd, struct sockaddr *addr, socklen_t *len,
                      int flags)
{
    int saved = errno;
    uint32_t state = atomic_load_explicit(&listener->board->worker.flags, memory_order_relaxed);

    if ((flags & ~(SOCK_CLOEXEC | SOCK_NONBLOCK)) || !(state & BOARD_LISTENING)) {
        errno = EINVAL;
        return -1;
    }
    struct call call = {listener, fd, addr, len, flags, .nonblock = (state & BOARD_NONBLOCK) != 0};
    if (!call.nonblock || (state & BOARD_ANNOUNCED))
        call.at_once = was_reported(listener, fd);
    int bad = check_room(addr, len);
    if (bad)
        return refuse(&call, bad);
    atomic_store_explicit(&listener->fd, fd, memory_order_relaxed);
    /* so that the next connection comes the way it is wanted */
    board_set_worker_flag(listener->board, BOARD_WANTS_NONBLOCK, (flags & SOCK_NONBLOCK) != 0);
    int conn_fd;
    do
        conn_fd = atomic_load(&listener->direct)
                      ? canonical_accept(listener, fd, addr, len, flags, call.at_once)
                      : take_offer(&call);
    while (conn_fd == CANONICAL_OVER);
    if (call.at_once && conn_fd < 0 && errno == EMFILE)
        announce_insist(listener); /* it is still there */
    if (call.at_once)
        announce_end(listener);
    if (conn_fd >= 0) {
        wait_learn(listener, fd);
        errno = saved;
    }
    return conn_fd;
}
