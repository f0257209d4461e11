/* next.c - dlsym(RTLD_NEXT), see dlsym(3). */
#include "shim/base/next.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "proto/fdpass.h"

struct next_table next_table;

static long missing(void)
{
    errno = ENOSYS;
    return -1;
}

void *next_find(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    return found ? found : (void *)missing;
}

/* The memory of the libraries behind us: libc, and those of LD_PRELOAD. And our own: a library that
 * ends its function by a jump to syscall() has it return to the hook that has called it. */
#define BEHIND_MAX 16
static struct {
    _Atomic uintptr_t first;
    _Atomic uintptr_t end;
} behind[BEHIND_MAX];

static bool has_function(uintptr_t first, uintptr_t end)
{
    uintptr_t own = (uintptr_t)next_find;
    void *function;

    if (own >= first && own < end)
        return true;
    for (size_t at = 0; at < sizeof next_table; at += sizeof function) {
        memcpy(&function, (const char *)&next_table + at, sizeof function);
        if (function != (void *)missing && (uintptr_t)function >= first &&
            (uintptr_t)function < end)
            return true;
    }
    return false;
}

static int note_object(struct dl_phdr_info *info, size_t size, void *context)
{
    size_t *count = context;

    (void)size;
    for (size_t i = 0; i < info->dlpi_phnum && *count < BEHIND_MAX; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        uintptr_t first = info->dlpi_addr + part->p_vaddr;
        if (part->p_type != PT_LOAD || !(part->p_flags & PF_X) ||
            !has_function(first, first + part->p_memsz))
            continue;
        atomic_store(&behind[*count].first, first);
        atomic_store(&behind[(*count)++].end, first + part->p_memsz);
    }
    return 0;
}

bool next_is_behind(const void *code)
{
    for (size_t i = 0; i < BEHIND_MAX && atomic_load(&behind[i].end); i++)
        if ((uintptr_t)code >= atomic_load(&behind[i].first) &&
            (uintptr_t)code < atomic_load(&behind[i].end))
            return true;
    return false;
}

void next_resolve(void)
{
    size_t count = 0;
    int saved = errno;
#define X(type, name, args)                                                                        \
    __atomic_store_n((void **)&next_table.name, next_find(#name), __ATOMIC_RELEASE);
    NEXT_CALLS(X)
#undef X
    __atomic_store_n((void **)&fdpass_recvmsg, next_find("recvmsg"), __ATOMIC_RELEASE);
    dl_iterate_phdr(note_object, &count);
    errno = saved;
}
