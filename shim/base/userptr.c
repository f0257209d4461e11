/* userptr.c - asks the kernel about pages by calls that change nothing. */
#include "shim/base/userptr.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "shim/base/next.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

__thread struct userptr_range userptr_known[USERPTR_USES][USERPTR_WAYS]
    __attribute__((tls_model("initial-exec")));

/* 4, 16 or 64 KiB: not known before the program runs. */
static uintptr_t page_size(void)
{
    static _Atomic uintptr_t known;
    uintptr_t size = atomic_load_explicit(&known, memory_order_relaxed);

    if (size == 0) {
        size = getauxval(AT_PAGESZ);
        atomic_store_explicit(&known, size ? size : 4096, memory_order_relaxed);
    }
    return size ? size : 4096;
}

/* The latest first; the oldest is forgotten. */
static void remember(enum userptr_use use, struct userptr_range range)
{
    memmove(&userptr_known[use][1], &userptr_known[use][0], (USERPTR_WAYS - 1) * sizeof range);
    userptr_known[use][0] = range;
}

/* rt_sigprocmask(2) reads the mask before it rejects `how`. Like any access by the kernel it lets
 * the stack grow. */
static bool page_is_readable(uintptr_t page)
{
    const void *start = (const void *)(page * page_size());

    if (page == 0) /* NULL would mean that there is no mask to read */
        return false;
    return NEXT(syscall)(SYS_rt_sigprocmask, -1L, start, NULL, 8L) == 0 || errno != EFAULT;
}

/* EINVAL: not writable, or this kernel does not know the question; then a page that surely is tells
 * which. */
static bool page_is_writable(uintptr_t page)
{
    uintptr_t ours = (uintptr_t)userptr_known / page_size();

    if (!page_is_readable(page))
        return false;
    if (NEXT(syscall)(SYS_madvise, page * page_size(), (long)page_size(),
                      (long)MADV_POPULATE_WRITE) == 0)
        return true;
    return NEXT(syscall)(SYS_madvise, ours * page_size(), (long)page_size(),
                         (long)MADV_POPULATE_WRITE) != 0;
}

static bool ask(const void *pointer, size_t len_bytes, enum userptr_use use,
                bool (*is_good)(uintptr_t))
{
    uintptr_t first = (uintptr_t)pointer / page_size();
    uintptr_t last = ((uintptr_t)pointer + len_bytes - 1) / page_size();
    int saved = errno;
    bool good = pointer != NULL && last >= first;

    for (uintptr_t page = first; good && page <= last; page++)
        good = is_good(page);
    if (good)
        remember(use,
                 (struct userptr_range){first * page_size(), (last - first + 1) * page_size()});
    errno = saved;
    return good;
}

bool userptr_ask_readable(const void *pointer, size_t len_bytes, enum userptr_use use)
{
    return ask(pointer, len_bytes, use, page_is_readable);
}

bool userptr_ask_writable(const void *pointer, size_t len_bytes, enum userptr_use use)
{
    return ask(pointer, len_bytes, use, page_is_writable);
}
