/*
 * vlisten.h - what bind, listen, accept and friends mean for a listener that the broker owns.
 *
 * A vlisten is this process's record of one channel. The program's fd is the worker's end of the
 * channel, from bind() on; the canonical socket, which all the copies share, is the shadow: a
 * hidden, close-on-exec fd. Identity lives in the kernel (the broker's end of a channel is bound to
 * an abstract name), so a record that was lost (exec, a vfork child that scribbled here,
 * SCM_RIGHTS) is made again on demand.
 *
 * All functions keep errno on success, set errno only to what the call they stand for may give, are
 * thread-safe, and allocate nothing. fd is the program's throughout and is borrowed.
 */
#ifndef SSHIM_SHIM_RECORD_VLISTEN_H
#define SSHIM_SHIM_RECORD_VLISTEN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "proto/scoreboard.h"
#include "shim/base/link.h"

#define VLISTEN_MAX 256 /* fdmap.h has room for no more */
#define VLISTEN_SEEN 64 /* records whose waiting is told; that of the others cannot be seen */

struct vlisten {
    _Atomic int refs; /* fds of the program in this process that refer to it; 0: free; -1: being
                         made or released */
    _Atomic int fd;   /* the number among them that was used last; -1: closed */
    _Atomic int shadow_fd; /* the canonical socket, hidden; -1: it is the program's fd itself */
    _Atomic int
        own_fd; /* the socket the program made, kept until listen() in case it connects; or -1 */
    _Atomic bool direct;        /* the program's fd is the canonical socket itself, see prefork.h */
    _Atomic int channel_fd;     /* then: the channel, hidden; or -1 */
    _Atomic bool played;        /* then: O_NONBLOCK is known to be on */
    _Atomic bool retired;       /* this worker is over: nothing comes any more, see fall_back.h */
    _Atomic int looks;          /* how often accept() may still look into the backlog in vain */
    _Atomic bool told;          /* an event loop was told that the canonical socket is readable */
    _Atomic int attended_epoll; /* plus 1; 0: none; else see attend.c */
    _Atomic int attend_rest;    /* waits until it is tried again; while it is on, since it began */
    _Atomic int attend_next_rest;
    struct board *board; /* never unmapped, only mapped over when the record is used again */
    uint64_t channel;
    uint64_t address_hash; /* of what was bound; stays when the record is free */
    int backlog;           /* for listen(2), 0: as the program asks */
};

extern struct vlisten vlisten_table[VLISTEN_MAX];

/* Whether this process, or the one it was forked from, has accepted a connection: what it binds now
 * is private. */
extern _Atomic bool vlisten_has_accepted;

/* Whether it, too, has a listener that another program has bound: before exec, or in a process that
 * sent it. */
extern _Atomic bool vlisten_has_recognised;

/* Whether this process ever had a shared listener. Until then the hooks on waiting calls do
 * nothing. */
extern _Atomic bool vlisten_any;

/* The program closes a connection that it accepted. */
static inline void vlisten_note_connection_closed(struct vlisten *listener)
{
    atomic_fetch_add_explicit(&listener->board->worker.closed, 1, memory_order_relaxed);
    board_set_worker_flag(listener->board, BOARD_CROWDED, false);
}

/* The record of fd, or NULL when it is not a shared listener. A system call only for an fd never
 * seen before. */
struct vlisten *vlisten_find(int fd);

/* As vlisten_find, but asks the kernel although the table says no; for calls that have failed in a
 * way that tells. */
struct vlisten *vlisten_find_again(int fd);

/* What the kernel says, whatever the table says; makes no record. */
bool vlisten_is_channel(int fd);

/* The listening socket itself. */
static inline int vlisten_real_fd(struct vlisten *listener, int fd)
{
    int shadow_fd = atomic_load(&listener->shadow_fd);
    return shadow_fd >= 0 ? shadow_fd : fd;
}

/* O_NONBLOCK as the program set it; like that of any socket it is shared with forked children. */
static inline bool vlisten_is_nonblock(struct vlisten *listener)
{
    return board_has_worker_flag(listener->board, BOARD_NONBLOCK);
}

static inline void vlisten_set_nonblock(struct vlisten *listener, bool on)
{
    board_set_worker_flag(listener->board, BOARD_NONBLOCK, on);
}

static inline bool vlisten_is_shut_down(struct vlisten *listener)
{
    return (atomic_load(&listener->board->worker.flags) & BOARD_SHUT) != 0;
}

static inline unsigned vlisten_index(const struct vlisten *listener)
{
    return (unsigned)(listener - vlisten_table);
}

/* The record in a set of listeners that are waited for: a bit, or 0. */
static inline uint64_t vlisten_bit(unsigned index)
{
    return index < VLISTEN_SEEN ? UINT64_C(1) << index : 0;
}

/* --- claim.c: from bind to listen --- */

enum claim_result { CLAIM_NATIVE, CLAIM_DONE, CLAIM_FAILED, CLAIM_UNANSWERED };

/*
 * bind(fd, addr, len). CLAIM_NATIVE: not shared, the caller binds natively. CLAIM_FAILED: errno is
 * what bind(2) gave in the broker; EADDRNOTAVAIL with a line on fd 2 when the broker cannot be
 * reached.
 */
enum claim_result claim_bind(int fd, const struct sockaddr *addr, socklen_t len);

/* listen(fd, backlog); 0, or -1 with the errno of listen(2). */
int claim_listen(struct vlisten *listener, int fd, int backlog);

/* The program listens, whether it said so or was given a socket that does. */
void claim_tell_listening(struct vlisten *listener, int backlog);

/* connect() on a bound fd: it is a client after all. The socket becomes the program's own again; 0,
 * or -1 as bind(2). */
int claim_abandon(struct vlisten *listener, int fd);

/* Whom SIGIO is for, and which signal it is. Borrows both. */
void claim_copy_async(int from_fd, int to_fd);

/* --- vlisten.c --- */

/* Whether there is no room for one more record: what is bound now stays native. */
bool vlisten_is_full(void);

/* Makes a record of what the broker granted; takes the shadow and board out of the grant, borrows
 * the rest. */
struct vlisten *vlisten_create(struct link_grant *grant);

/* One more, or one less, fd of the program refers to it. Before the last one is closed the broker
 * is told. */
void vlisten_add_ref(struct vlisten *listener, int fd);
void vlisten_drop_ref(struct vlisten *listener, int fd);

/* Whether fd still means it: another thread may close it under a blocked accept, and use the number
 * again. */
bool vlisten_has_fd(const struct vlisten *listener, int fd);

/* After the close itself, where the broker promises that what is closed is gone: waits until it has
 * seen that, for 200 ms at most, or three times that if it does not even accept. */
void vlisten_settle(void);

/* Whether the fd that is about to be closed wants vlisten_settle() afterwards. */
bool vlisten_must_settle(struct vlisten *listener);

/* No fd of the program refers to it any more: frees the record. */
void vlisten_release(struct vlisten *listener);

/* The second half of it, see attend_release(). */
void vlisten_finish_release(struct vlisten *listener);

/* Sends a message without fd on the channel; fire and forget. */
void vlisten_tell(struct vlisten *listener, const void *message, size_t len_bytes);
void vlisten_wake_broker(struct vlisten *listener);

/* shutdown(2) with a valid how: this worker stops listening, the others do not notice. */
int vlisten_shutdown(struct vlisten *listener, int fd, int how);

/* A copy of fd on a high number that the program does not see, close-on-exec, or -1. Borrows fd. */
int vlisten_hide_fd(int fd, unsigned index);
void vlisten_close_hidden(_Atomic int *hidden_fd);

/* The program is about to put something of its own on a hidden number: the hidden file moves to
 * another. */
void vlisten_move_hidden(int fd, unsigned index);

/* pthread_atfork: child. */
void vlisten_on_fork(void);

/* Whether this is the process whose tables these are, not its vfork child. One system call. */
bool vlisten_is_owner(void);

/* --- hooks_fork.c --- */

/* pthread_atfork: prepare. And when there is no child after all. */
void vlisten_before_fork(void);
void vlisten_on_fork_failure(void);

/* --- accept.c --- */

/* accept4(2); blocks in libc's recvmsg only. */
int vlisten_accept(struct vlisten *listener, int fd, struct sockaddr *addr, socklen_t *len,
                   int flags);

/* SO_RCVTIMEO of this socket, in milliseconds as poll(2) takes it; -1: none. */
int vlisten_accept_timeout_ms(int fd);

/* accept4(2) on the canonical socket. EINVAL: it was shut down, for this program or for the whole
 * pool. */
int vlisten_take_directly(struct vlisten *listener, int fd, struct sockaddr *addr, socklen_t *len,
                          int flags);

#endif
