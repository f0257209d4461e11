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
#include "shim/base/broker_rpc.h"
#include "shim/base/fdmap.h"

#define VLISTEN_MAX 256       /* fdmap.h has room for no more */
#define VLISTEN_CHANGING (-1) /* refs of a record that is being made or released */
#define VLISTEN_SEEN 64       /* records whose waiting is told; that of the others cannot be seen */

/* What is exchanged is an int: riscv64 exchanges no byte without a library. */
struct vlisten {
    _Atomic int refs; /* fds of the program in this process that refer to it; 0: free; -1: being
                         made or released */
    _Atomic int fd;   /* the number among them that was used last; -1: closed */
    _Atomic int shadow_fd; /* the canonical socket, hidden; -1: it is the program's fd itself */
    _Atomic int
        own_fd; /* the socket the program made, kept until listen() in case it connects; or -1 */
    _Atomic int direct;     /* the program's fd is the canonical socket itself, see prefork.h */
    _Atomic int channel_fd; /* then: the channel, hidden; or -1 */
    _Atomic int emulates_blocking; /* then: O_NONBLOCK is known to be on */
    _Atomic int retired;         /* this worker is over: nothing comes any more, see fall_back.h */
    _Atomic int looks;           /* how often accept() may still look into the backlog in vain */
    _Atomic int told;            /* an event loop was told that the canonical socket is readable */
    _Atomic int exclusive_epoll; /* plus 1; 0: none; else see wait_exclusive.c */
    _Atomic int
        wait_exclusive_rest; /* waits until it is tried again; while it is on, since it began */
    _Atomic int wait_exclusive_next_rest;
    struct board *board; /* never unmapped, only mapped over when the record is used again */
    uint64_t channel;
    uint64_t address_hash; /* of what was bound; stays when the record is free */
    int backlog;           /* for listen(2), 0: as the program asks */
    unsigned accepts;      /* what an accept() here is, see vlisten_accepts */
};

extern struct vlisten vlisten_table[VLISTEN_MAX];

/* Whether this process, or the one it was forked from, has accepted a connection, and one at a
 * port: what it binds now is private, unless it has only just begun. The clients of a name of
 * AF_UNIX are often the server's own processes: they say nothing about a port. */
#define VLISTEN_ACCEPTED 1u
#define VLISTEN_ACCEPTED_AT_PORT 2u
extern _Atomic unsigned vlisten_accepts;

static inline bool vlisten_has_accepted(unsigned what)
{
    return (atomic_load_explicit(&vlisten_accepts, memory_order_relaxed) & what) == what;
}

/* It has accepted its first connection of that kind. A system call only where the clock needs one.
 */
void vlisten_note_first_accept(unsigned what);

/* This process has bound a shared listener by itself. */
void vlisten_note_bound(void);

/* Whether it has done so, and accepted for the first time less than WIRE_BEGINNING_MS ago. */
bool vlisten_begins(void);

/* Whether this process has a listener that another program bound: before exec, or in a process
 * that sent it. */
extern _Atomic bool vlisten_has_recognised;

/* Whether this process ever had a shared listener. Until then the hooks on waiting calls do
 * nothing. */
extern _Atomic bool vlisten_any;

/* Whether this program has closed a shared listener, and does not count among its holders since:
 * exec forgets that. */
extern _Atomic bool vlisten_has_closed;

/* How often this process has made a child, executed a program, or copied a connection's descriptor:
 * what it closes may be open in another place then. */
extern _Atomic uint32_t vlisten_forks;

/* What a question for a channel says of that: WIRE_ATTACH_UNCLOSED or 0. */
static inline uint32_t vlisten_attach_flag(void)
{
    return atomic_load(&vlisten_has_closed) ? 0 : WIRE_ATTACH_UNCLOSED;
}

/* The program closes a connection that it accepted. */
static inline void vlisten_note_connection_closed(struct vlisten *listener)
{
    atomic_fetch_add_explicit(&listener->board->worker.closed, 1, memory_order_relaxed);
    board_set_worker_flag(listener->board, BOARD_FDS_LOW, false);
}

/* The record of fd as the table has it, or NULL. No system call; see recognise.h. */
static inline struct vlisten *vlisten_known(int fd)
{
    struct fdmap_entry entry = fdmap_get(fd);
    return entry.kind == FDMAP_LISTENER ? &vlisten_table[entry.index] : NULL;
}

/* recognise_fd(): makes the record of what exec has left open. Set when the library is loaded. */
extern struct vlisten *(*vlisten_recognise)(int fd);

/* The record of fd, which the program waits for, or NULL. A system call only for what is waited for
 * for the first time and was inherited. */
static inline struct vlisten *vlisten_waited_for(int fd)
{
    struct fdmap_entry entry = fdmap_get(fd);

    if (__builtin_expect(entry.kind == FDMAP_INHERITED, 0))
        return vlisten_recognise(fd);
    return entry.kind == FDMAP_LISTENER ? &vlisten_table[entry.index] : NULL;
}

/* The listening socket itself. */
static inline int vlisten_real_fd(struct vlisten *listener, int fd)
{
    int shadow_fd = atomic_load(&listener->shadow_fd);
    return shadow_fd >= 0 ? shadow_fd : fd;
}

/* O_NONBLOCK as the program set it; like that of any socket it is shared with forked children. */
static inline bool vlisten_is_nonblock(struct vlisten *listener)
{
    return (atomic_load_explicit(&listener->board->worker.flags, memory_order_relaxed) &
            BOARD_NONBLOCK) != 0;
}

static inline void vlisten_set_nonblock(struct vlisten *listener, bool on)
{
    board_set_worker_flag(listener->board, BOARD_NONBLOCK, on);
}

/* Whether this copy listens; another one may where it has only bound. */
static inline bool vlisten_listens(struct vlisten *listener)
{
    return (atomic_load(&listener->board->worker.flags) & BOARD_LISTENING) != 0;
}

static inline bool vlisten_is_shut_down(struct vlisten *listener)
{
    return (atomic_load(&listener->board->worker.flags) & BOARD_SHUT) != 0;
}

static inline void vlisten_mark_listening(struct vlisten *listener)
{
    atomic_fetch_and(&listener->board->worker.flags, ~(uint32_t)BOARD_SHUT);
    atomic_fetch_or(&listener->board->worker.flags, BOARD_LISTENING);
}

/* Whether its canonical socket is in an epoll fd of the program as well, see wait_exclusive.h. */
static inline bool vlisten_attends(struct vlisten *listener)
{
    return atomic_load_explicit(&listener->exclusive_epoll, memory_order_relaxed) > 0;
}

static inline unsigned vlisten_index(const struct vlisten *listener)
{
    return (unsigned)(listener - vlisten_table);
}

/* The record in a set of listeners that are waited for: a bit, or 0. */
static inline uint64_t vlisten_bit(const struct vlisten *listener)
{
    return listener < vlisten_table + VLISTEN_SEEN ? UINT64_C(1) << (listener - vlisten_table) : 0;
}

/* Whether there is no room for one more record: what is bound now stays native. */
bool vlisten_is_full(void);

/* Makes a record of what the broker granted; takes the shadow and board out of the grant, borrows
 * the rest. */
struct vlisten *vlisten_create(struct link_grant *grant);

/* One more fd of the program refers to it; see close.h for one less. */
void vlisten_add_ref(struct vlisten *listener, int fd);

/* Whether fd still means it: another thread may close it under a blocked accept, and use the number
 * again. */
bool vlisten_has_fd(const struct vlisten *listener, int fd);

/* No fd of the program refers to it any more, and nothing waits for it: frees the record. */
void vlisten_finish_release(struct vlisten *listener);

/* Sends a message without fd on the channel; fire and forget. */
void vlisten_tell(struct vlisten *listener, const void *message, size_t len_bytes);
void vlisten_wake_broker(struct vlisten *listener);

/* The program listens (by listen(), or with a socket that it received); it listens no more. */
void vlisten_tell_listening(struct vlisten *listener, int backlog);
void vlisten_tell_closed(struct vlisten *listener);

/* A copy of fd on a high number that the program does not see, close-on-exec, or -1. Borrows fd. */
int vlisten_hide_fd(int fd, unsigned index);
void vlisten_close_hidden(_Atomic int *hidden_fd);

/* CLOCK_MONOTONIC. */
int64_t vlisten_now_ms(void);

/* pthread_atfork: child. */
void vlisten_on_fork(void);

/* Whether this is the process whose tables these are, not its vfork child. One system call. */
bool vlisten_is_owner(void);

/* --- hooks_fork.c --- */

/* pthread_atfork: prepare. And when there is no child after all. */
void vlisten_before_fork(void);
void vlisten_on_fork_failure(void);

#endif
