/*
 * fdmap.h - what this process knows about each of its fd numbers. A cache: identity lives in the
 * kernel (vlisten.h), a missing or stale entry costs a look-up, never correctness.
 *
 * All functions are lock-free, thread-safe and async-signal-safe.
 */
#ifndef SSHIM_SHIM_BASE_FDMAP_H
#define SSHIM_SHIM_BASE_FDMAP_H

#include <assert.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdint.h>

#define FDMAP_SIZE                                                                                 \
    (1 << 20) /* numbers above are always unknown; untouched pages cost no memory                  \
               */

enum fdmap_kind {
    FDMAP_UNKNOWN,   /* not looked at, or closed */
    FDMAP_FOREIGN,   /* not ours; index FDMAP_NATIVE, 0: not known to be that */
    FDMAP_INHERITED, /* worker's end of a channel that exec left open; there is no record of it yet
                      */
    FDMAP_LISTENER,  /* worker's end of a channel; index of its vlisten */
    FDMAP_CONN,      /* an accepted connection; index of the vlisten it came by */
    FDMAP_EPOLL,     /* an epoll fd that a listener is registered in; index of its wait set */
    FDMAP_HIDDEN, /* an fd of the shim's own that the program must not touch; index of its vlisten
                   */
};

/* Made by this process, or accepted by it from such a listener: no connection of ours. */
#define FDMAP_NATIVE 1

/* 32 bits: some processors have no smaller atomic operation without a library. */
struct fdmap_entry {
    alignas(4) uint16_t kind;
    uint16_t index;
};
static_assert(sizeof(struct fdmap_entry) == 4, "an entry is read and written in one piece");

extern _Atomic struct fdmap_entry fdmap_table[FDMAP_SIZE];
extern _Atomic int fdmap_last_conn; /* no number above it is marked FDMAP_CONN */

static inline struct fdmap_entry fdmap_get(int fd)
{
    if (fd < 0 || fd >= FDMAP_SIZE)
        return (struct fdmap_entry){FDMAP_UNKNOWN, 0};
    return atomic_load_explicit(&fdmap_table[fd], memory_order_relaxed);
}

/* fd as a call of the program means it: -1 for a number that is the shim's own, so that the kernel
 * answers EBADF. */
static inline int fdmap_shown(int fd)
{
    return __builtin_expect(fdmap_get(fd).kind == FDMAP_HIDDEN, 0) ? -1 : fd;
}

/* Sets the entry and returns the one that was there. */
static inline struct fdmap_entry fdmap_set(int fd, enum fdmap_kind kind, unsigned index)
{
    if (fd < 0 || fd >= FDMAP_SIZE)
        return (struct fdmap_entry){FDMAP_UNKNOWN, 0};
    struct fdmap_entry entry = {(uint16_t)kind, (uint16_t)index};
    if (kind == FDMAP_CONN && fd > atomic_load_explicit(&fdmap_last_conn, memory_order_relaxed))
        atomic_store_explicit(&fdmap_last_conn, fd, memory_order_relaxed);
    return atomic_exchange_explicit(&fdmap_table[fd], entry, memory_order_relaxed);
}

static inline struct fdmap_entry fdmap_clear(int fd)
{
    if (fdmap_get(fd).kind == FDMAP_UNKNOWN)
        return (struct fdmap_entry){FDMAP_UNKNOWN, 0};
    return fdmap_set(fd, FDMAP_UNKNOWN, 0);
}

/* In a forked child: the connections are the parent's to count. */
void fdmap_forget_connections(void);

/* The first fd at or after fd that has this kind, or -1. */
int fdmap_find(int fd, enum fdmap_kind kind);

#endif
