/*
 * proxied.h - the shared memory in which the broker notes whose connections are, where a balancer
 * has told it by a PROXY header. Workers have it mapped for reading only, and look into it when
 * their program calls getpeername(2) or getsockname(2).
 *
 * A connection is known by its cookie (SO_COOKIE, socket(7)), which the kernel gives once: so the
 * table holds for a connection that was inherited, duplicated or received.
 */
#ifndef SSHIM_PROTO_PROXIED_H
#define SSHIM_PROTO_PROXIED_H

#include <assert.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* The host and port of a sockaddr_in or sockaddr_in6. */
struct proxied_end {
    uint16_t family; /* AF_INET or AF_INET6 */
    uint16_t port;   /* in network order */
    uint8_t host[16];
};

/* One cache line for readers, one for the broker. */
struct proxied {
    alignas(64) _Atomic uint64_t cookie; /* 0: none */
    struct proxied_end client, destination;
    /* The broker's own: by which it asks the kernel whether the connection is still open. */
    alignas(64) uint8_t key[64];
};
static_assert(sizeof(struct proxied) == 128, "two cache lines");
static_assert(sizeof(struct proxied_end) == 20, "of one layout in 32 and 64 bits");

#define PROXIED_WAYS 8         /* places in which a connection may be */
#define PROXIED_SETS (1 << 14) /* cookies are counted, so they spread by themselves */
#define PROXIED_SIZE ((size_t)PROXIED_SETS * PROXIED_WAYS * sizeof(struct proxied))

struct proxied_table {
    struct proxied at[PROXIED_SETS][PROXIED_WAYS];
};

/*
 * Copies what is noted of the connection. False: it is not there. The broker clears the cookie
 * before it writes a place anew, and no cookie comes twice: if it is there before and after the
 * copy, the copy is whole.
 */
static inline bool proxied_find(const struct proxied_table *table, uint64_t cookie,
                                struct proxied_end *client, struct proxied_end *destination)
{
    const struct proxied *set = table->at[cookie % PROXIED_SETS];

    for (int i = 0; i < PROXIED_WAYS; i++) {
        if (atomic_load_explicit(&set[i].cookie, memory_order_acquire) != cookie)
            continue;
        *client = set[i].client;
        *destination = set[i].destination;
        atomic_thread_fence(memory_order_acquire);
        return atomic_load_explicit(&set[i].cookie, memory_order_relaxed) == cookie;
    }
    return false;
}

#endif
