/*
 * userptr.h - pointers that the program passed: may they be followed? The kernel answers a bad one
 * with EFAULT, and so must a hook that looks behind it before, or instead of, the kernel.
 *
 * What was found good is remembered per thread and purpose, so that a loop which passes the same
 * few variables again pays some comparisons. Thread-safe, async-signal-safe, keeps errno.
 */
#ifndef SSHIM_SHIM_BASE_USERPTR_H
#define SSHIM_SHIM_BASE_USERPTR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

enum userptr_use {
    USERPTR_LEN,     /* accept's length */
    USERPTR_ADDR,    /* accept's address */
    USERPTR_WAIT,    /* the array or set of a waiting call */
    USERPTR_TIMEOUT, /* its time-out */
    USERPTR_OTHER,
    USERPTR_USES
};

/* Whole pages. */
struct userptr_range {
    uintptr_t start;
    size_t size_bytes; /* 0: none */
};

#define USERPTR_WAYS 4 /* ranges that are remembered for each use */

extern __thread struct userptr_range userptr_known[USERPTR_USES][USERPTR_WAYS]
    __attribute__((tls_model("initial-exec")));

/* The slow halves: ask the kernel, one or two system calls a page. */
bool userptr_ask_readable(const void *pointer, size_t len_bytes, enum userptr_use use);
bool userptr_ask_writable(const void *pointer, size_t len_bytes, enum userptr_use use);

static inline bool userptr_is_known(const void *pointer, size_t len_bytes, enum userptr_use use)
{
    for (const struct userptr_range *range = userptr_known[use];
         range < userptr_known[use] + USERPTR_WAYS; range++) {
        uintptr_t offset = (uintptr_t)pointer - range->start;
        if (offset < range->size_bytes && len_bytes <= range->size_bytes - offset)
            return true;
    }
    return false;
}

/* A use is asked about either reading or writing, never both. Nothing is behind a length of 0. */
static inline bool userptr_is_readable(const void *pointer, size_t len_bytes, enum userptr_use use)
{
    return len_bytes == 0 || userptr_is_known(pointer, len_bytes, use) ||
           userptr_ask_readable(pointer, len_bytes, use);
}

static inline bool userptr_is_writable(const void *pointer, size_t len_bytes, enum userptr_use use)
{
    return len_bytes == 0 || userptr_is_known(pointer, len_bytes, use) ||
           userptr_ask_writable(pointer, len_bytes, use);
}

/* accept(2): the address is cut to the room given, *len becomes what it would have needed. addr may
 * be NULL; else both were found writable. */
static inline void userptr_put_peer(const void *peer, socklen_t peer_len, struct sockaddr *addr,
                                    socklen_t *len)
{
    if (!addr)
        return;
    memcpy(addr, peer, *len < peer_len ? *len : peer_len);
    *len = peer_len;
}

#endif
