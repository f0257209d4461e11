/*
 * userptr.h - pointers that the program passed: may they be followed? The kernel answers a bad one
 * with EFAULT, and so must a hook that looks behind it before, or instead of, the kernel.
 *
 * What was found good is remembered per thread and purpose, so that a loop which passes the same
 * few variables again pays some comparisons. Thread-safe, async-signal-safe, keeps errno.
 */
#ifndef SSHIM_SHIM_BASE_USERPTR_H
#define SSHIM_SHIM_BASE_USERPTR_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum userptr_use {
    USERPTR_LEN,     /* accept's length */
    USERPTR_ADDR,    /* accept's address */
    USERPTR_WAIT,    /* the array or set of a waiting call */
    USERPTR_TIMEOUT, /* its time-out */
    USERPTR_OTHER,
    USERPTR_USES
};

struct userptr_range {
    uintptr_t first_page;
    uintptr_t last_page;
};

/* 4, 16 or 64 KiB: not known before the program runs. */
extern _Atomic uintptr_t userptr_page_size;
uintptr_t userptr_learn_page_size(void);

static inline uintptr_t userptr_page(void)
{
    uintptr_t size = atomic_load_explicit(&userptr_page_size, memory_order_relaxed);
    return __builtin_expect(size != 0, 1) ? size : userptr_learn_page_size();
}

#define USERPTR_WAYS 4 /* ranges that are remembered for each use */

extern __thread struct userptr_range userptr_known[USERPTR_USES][USERPTR_WAYS]
    __attribute__((tls_model("initial-exec")));

/* The slow halves: ask the kernel, one or two system calls a page. */
bool userptr_ask_readable(const void *pointer, size_t len_bytes, enum userptr_use use);
bool userptr_ask_writable(const void *pointer, size_t len_bytes, enum userptr_use use);

static inline bool userptr_is_known(const void *pointer, size_t len_bytes, enum userptr_use use)
{
    uintptr_t first = (uintptr_t)pointer / userptr_page();
    uintptr_t last = ((uintptr_t)pointer + len_bytes - 1) / userptr_page();

    for (const struct userptr_range *range = userptr_known[use];
         range < userptr_known[use] + USERPTR_WAYS; range++)
        if (first >= range->first_page && last <= range->last_page)
            return true;
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

#endif
