/*
 * scoreboard.h - the shared memory of one channel: a cache line written by the worker, one written
 * by the broker.
 *
 * Everything here is a hint. The worker's line may hold anything (a broken or hostile server), so
 * the broker bounds what it reads and stays correct with any value; the broker's line is mapped
 * writable by the worker too, so the broker never reads its own line back. Plain C11 atomics, no
 * locks; each function states the memory order that it needs.
 */
#ifndef SSHIM_PROTO_SCOREBOARD_H
#define SSHIM_PROTO_SCOREBOARD_H

#include <assert.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/notes.h"

#define BOARD_SIZE sizeof(struct board)
#define BOARD_SIZE_BEFORE 4096  /* of brokers without notes */
#define BOARD_MAGIC 0x31425353u /* "SSB1" */

/* Written by the worker, all of its threads and forked children. */
struct board_worker {
    _Atomic uint32_t waiting; /* threads that wait for this listener right now */
    _Atomic uint32_t waits;   /* how often waiting was raised; 0: this server waits invisibly */
    _Atomic uint32_t holders; /* processes that hold the listener; 0: it was closed */
    _Atomic uint32_t flags;   /* BOARD_WANTS_NONBLOCK, ... */
    _Atomic uint64_t taken;   /* offers accepted */
    _Atomic uint64_t direct;  /* connections taken from the canonical socket without the broker */
    _Atomic uint64_t closed;  /* accepted connections that were closed again */
    _Atomic uint64_t lost;    /* offers that the kernel destroyed because the fd table was full */
    _Atomic uint32_t
        exclusive_waits; /* how often it began to wait at the canonical socket itself */
};
#define BOARD_WANTS_NONBLOCK                                                                       \
    1u                /* the last accept4 asked for SOCK_NONBLOCK: accept the next one that way */
#define BOARD_SHUT 2u /* the program called shutdown() on the listener */
#define BOARD_LISTENING 4u /* the program called listen() */
#define BOARD_FDS_LOW                                                                              \
    8u /* its fd table was nearly full at the last accept, and nothing was closed since */
#define BOARD_NONBLOCK 16u /* the program set O_NONBLOCK on the listener */
#define BOARD_ANNOUNCED                                                                            \
    32u /* it blocks, a wait reported it readable, and no accept has come since */
#define BOARD_ACCEPTING 64u  /* such an accept is under way */
#define BOARD_ANNOUNCES 128u /* it blocks, and waits come before its accepts: no direct take */
#define BOARD_CAN_NOTE 256u  /* this library writes notes */

/* Written by the broker. */
struct board_broker {
    _Atomic uint32_t magic;       /* BOARD_MAGIC */
    _Atomic uint32_t queue_waits; /* enum board_queue */
    _Atomic uint32_t flags;       /* BOARD_WAIT_INVISIBLE, ... */
    _Atomic uint32_t allowance;   /* open connections with which a worker may still take directly */
    _Atomic uint64_t sent;        /* offers sent and not recalled */
    _Atomic uint32_t recalling;   /* 1: it is about to take an offer back */
};
#define BOARD_WAIT_INVISIBLE                                                                       \
    1u                  /* waiting is not visible or not to be trusted: tell of every offer taken  \
                         */
#define BOARD_DIRECT 2u /* --handoff direct: accept from the canonical socket only */
#define BOARD_EXACT                                                                                \
    32u /* what is closed is gone when close() returns: wait until the broker has seen it */
#define BOARD_DRAINING                                                                             \
    8u /* this worker is over: nothing new, not even directly; the end of its channel is no death  \
          of the broker */
#define BOARD_LOOK 16u /* much is taken directly: a worker within its allowance may look */
#define BOARD_WAIT_EXCLUSIVE                                                                       \
    64u /* connections come fast: an event loop without any may wait at the canonical socket */
#define BOARD_THROUGH                                                                              \
    128u /* all connections pass the broker: none is taken past it, whatever was                   \
            told or is waited for */
#define BOARD_SHARE_LATE 4u /* addresses bound after the first accept are shared as well */

#define BOARD_NOTES                                                                                \
    256u /* --conn-log: note each connection that is taken past the broker, and each close */

enum board_queue {
    BOARD_QUEUE_EMPTY = 0, /* no connection waits */
    BOARD_BACKLOG = 1, /* connections wait in the backlog; a thread that blocks in accept may take
                          one directly */
    BOARD_ASK = 2,     /* connections wait and the broker holds some of them: send WAKE */
};

struct board {
    alignas(64) struct board_worker worker;
    alignas(64) struct board_broker broker;
    struct notes notes;
};
static_assert(offsetof(struct board, notes) == 128, "one cache line each");
static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "64-bit atomics must be lock-free");

/*
 * Worker: says that one more thread waits. Sequentially consistent, so that it is ordered before
 * the look at `queue_waits` that must follow: broker and worker each write, then read what the
 * other writes (Dekker), and at least one of them sees the other.
 */
static inline void board_raise(struct board *board)
{
    atomic_fetch_add_explicit(&board->worker.waits, 1, memory_order_relaxed);
    atomic_fetch_add(&board->worker.waiting, 1);
}

/* Worker: the thread waits no longer. Comes before any increment of `taken`, or a busy worker looks
 * idle. */
static inline void board_lower(struct board *board)
{
    atomic_fetch_sub(&board->worker.waiting, 1);
}

static inline enum board_queue board_queue(struct board *board)
{
    return (enum board_queue)atomic_load(&board->broker.queue_waits);
}

/* Worker: whether the caller is the one that has to wake the broker. Exactly one thread gets true.
 */
static inline bool board_claim_wake(struct board *board)
{
    return atomic_load(&board->broker.queue_waits) != BOARD_QUEUE_EMPTY &&
           atomic_exchange(&board->broker.queue_waits, BOARD_QUEUE_EMPTY) != BOARD_QUEUE_EMPTY;
}

static inline bool board_has_worker_flag(struct board *board, uint32_t flag)
{
    return (atomic_load_explicit(&board->worker.flags, memory_order_relaxed) & flag) != 0;
}

/* Worker: a look costs nothing, a change an atomic operation. */
static inline void board_set_worker_flag(struct board *board, uint32_t flag, bool on)
{
    uint32_t flags = atomic_load_explicit(&board->worker.flags, memory_order_relaxed);

    if (on && !(flags & flag))
        atomic_fetch_or(&board->worker.flags, flag);
    if (!on && (flags & flag))
        atomic_fetch_and(&board->worker.flags, ~flag);
}

/* Worker: one of the broker's flags. */
static inline bool board_has_flag(struct board *board, uint32_t flag)
{
    return (atomic_load_explicit(&board->broker.flags, memory_order_relaxed) & flag) != 0;
}

#endif
