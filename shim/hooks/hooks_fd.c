/* hooks_fd.c - the exported calls that open, close, copy and switch file descriptors: they keep the
 * fd map true. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shim/base/env.h"
#include "shim/base/fdmap.h"
#include "shim/base/fdroom.h"
#include "shim/base/next.h"
#include "shim/base/retarget.h"
#include "shim/base/userptr.h"
#include "shim/hooks/hooks.h"
#include "shim/listen/close.h"
#include "shim/listen/prefork.h"
#include "shim/listen/recognise.h"
#include "shim/record/notes.h"
#include "shim/record/vlisten.h"
#include "shim/take/epoll_set.h"

#ifdef __GLIBC__
#define IOCTL_REQUEST unsigned long
#else
#define IOCTL_REQUEST int
#endif

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif

/* fd is about to be closed by the program, in whatever way; or, with is_open false, a connection
 * was. A vfork child shares our memory but not our fd table. True: close_settle() is to follow the
 * close. */
static bool on_close(int fd, bool is_open)
{
    struct fdmap_entry entry = fdmap_get(fd);
    bool must_settle;

    switch (entry.kind) {
    case FDMAP_LISTENER:
        if (!vlisten_is_owner())
            return false;
        fdmap_clear(fd);
        must_settle = close_must_settle(&vlisten_table[entry.index]);
        close_listener_fd(&vlisten_table[entry.index], fd);
        return must_settle;
    case FDMAP_CONN:
        if (is_open && notes_are_kept(&vlisten_table[entry.index]))
            notes_add_close(&vlisten_table[entry.index], fd);
        vlisten_note_connection_closed(&vlisten_table[entry.index]);
        break;
    case FDMAP_EPOLL:
        if (!vlisten_is_owner())
            return false;
        epoll_set_drop_fd((int)entry.index, fd);
        break;
    default: break;
    }
    fdmap_clear(fd);
    return false;
}

SSHIM_EXPORT int close(int fd)
{
    fd = fdmap_shown(fd);
    if (!env_managed() || !on_close(fd, true))
        return NEXT(close)(fd);
    int result = NEXT(close)(fd);
    close_settle();
    return result;
}

/* fclose closes inside libc, where no hook sees it. */
SSHIM_EXPORT int fclose(FILE *stream)
{
    bool must_settle = false;

    if (env_managed()) {
        int saved = errno;
        int fd = fileno(stream);
        must_settle = fd >= 0 && on_close(fd, true);
        errno = saved;
    }
    int result = NEXT(fclose)(stream);
    if (must_settle)
        close_settle();
    return result;
}

/* Forgets what lies in the range; the table ends long before UINT_MAX. True: as on_close(). */
static bool on_close_range(unsigned first, unsigned last, bool is_open)
{
    bool is_owner = false;
    bool must_settle = false;

    for (unsigned fd = first; fd <= last && fd < FDMAP_SIZE; fd++) {
        enum fdmap_kind kind = fdmap_get((int)fd).kind;
        if (kind == FDMAP_UNKNOWN || kind == FDMAP_HIDDEN)
            continue;
        if (!is_owner && !(is_owner = vlisten_is_owner()))
            break;
        must_settle |= on_close((int)fd, is_open);
    }
    return must_settle;
}

/* Closes the pieces between our hidden descriptors. */
static int close_around_hidden(unsigned first, unsigned last, int flags)
{
    while (first <= last) {
        int hidden = first < FDMAP_SIZE ? fdmap_find((int)first, FDMAP_HIDDEN) : -1;
        if (hidden < 0 || (unsigned)hidden > last)
            return NEXT(close_range)(first, last, flags);
        if ((unsigned)hidden > first && NEXT(close_range)(first, (unsigned)hidden - 1, flags) < 0)
            return -1;
        first = (unsigned)hidden + 1;
    }
    return 0;
}

/* What must be told of before it is closed. */
static bool is_notable_range(unsigned first, unsigned last)
{
    static const enum fdmap_kind notable[] = {FDMAP_LISTENER, FDMAP_EPOLL};

    if (first >= FDMAP_SIZE || !atomic_load_explicit(&vlisten_any, memory_order_relaxed))
        return false;
    for (size_t i = 0; i < sizeof notable / sizeof notable[0]; i++) {
        int fd = fdmap_find((int)first, notable[i]);
        if (fd >= 0 && (unsigned)fd <= last)
            return true;
    }
    return false;
}

/* An old kernel or a sandbox may refuse the call: then nothing is closed, and nothing forgotten. */
static bool can_close_ranges(int flags)
{
    return NEXT(close_range)(~0U, ~0U, flags) == 0;
}

SSHIM_EXPORT int close_range(unsigned first, unsigned last, int flags)
{
    if (!env_managed() || first > last)
        return NEXT(close_range)(first, last, flags);
    bool forgets = !(flags & CLOSE_RANGE_CLOEXEC);
    bool tells = forgets && is_notable_range(first, last);
    if (tells && !can_close_ranges(flags))
        return -1;
    bool must_settle = tells && on_close_range(first, last, true);
    int result = close_around_hidden(first, last, flags);
    if (must_settle)
        close_settle();
    if (result == 0 && forgets && !tells)
        on_close_range(first, last, false);
    return result;
}

static void close_unless_hidden(int fd, void *first)
{
    if (fd >= *(const int *)first && fdmap_shown(fd) == fd)
        NEXT(close)(fd);
}

SSHIM_EXPORT void closefrom(int first)
{
    int saved = errno;

    if (!env_managed()) {
        NEXT(closefrom)(first);
        return;
    }
    unsigned from = first > 0 ? (unsigned)first : 0;
    bool must_settle = on_close_range(from, ~0U, true);
    if (close_around_hidden(from, ~0U, 0) < 0)
        retarget_each_open_fd(close_unless_hidden, &first); /* as the C library does then */
    if (must_settle)
        close_settle();
    errno = saved;
}

/* A vfork child has our tables, but numbers of its own. */
static bool is_in_vfork_child(void)
{
    return atomic_load_explicit(&vlisten_any, memory_order_relaxed) && !vlisten_is_owner();
}

/* Of a dup: what is known of a foreign socket; a dup of a connection is a connection still. */
static unsigned foreign_index(struct fdmap_entry from)
{
    return from.kind == FDMAP_FOREIGN ? from.index : 0;
}

/* Neither fd nor what new_fd was is a matter of ours: only the cache may change, in which a vfork
 * child does no harm by saying less. */
static void on_plain_dup(struct fdmap_entry from, struct fdmap_entry to, int new_fd)
{
    bool is_foreign = from.kind == FDMAP_CONN || from.kind == FDMAP_FOREIGN;

    if (from.kind == FDMAP_INHERITED)
        fdmap_set(new_fd, FDMAP_INHERITED, 0);
    else if (to.kind == FDMAP_FOREIGN && !is_foreign)
        fdmap_clear(new_fd);
    else if (to.kind == FDMAP_FOREIGN && to.index != foreign_index(from))
        fdmap_set(new_fd, FDMAP_FOREIGN, 0);
    if (to.kind == FDMAP_UNKNOWN && is_foreign &&
        !atomic_load_explicit(&vlisten_any, memory_order_relaxed))
        fdmap_set(new_fd, FDMAP_FOREIGN, 0);
}

static void on_notable_dup(struct fdmap_entry from, struct fdmap_entry to, int new_fd)
{
    if (to.kind == FDMAP_CONN)
        vlisten_note_connection_closed(&vlisten_table[to.index]);
    if (from.kind == FDMAP_LISTENER)
        vlisten_add_ref(&vlisten_table[from.index], new_fd);
    else if (from.kind == FDMAP_EPOLL)
        epoll_set_add_fd((int)from.index, new_fd);
    else if (from.kind == FDMAP_CONN || from.kind == FDMAP_FOREIGN)
        fdmap_set(new_fd, FDMAP_FOREIGN, foreign_index(from));
    else
        fdmap_clear(new_fd);
}

/* new_fd refers to what fd refers to. lowest: the kernel chose the number. */
static int on_dup(int fd, int new_fd, bool lowest)
{
    if (new_fd < 0 || !env_managed())
        return new_fd;
    struct fdmap_entry from = fdmap_get(fd);
    struct fdmap_entry to = fdmap_get(new_fd);
    if (lowest)
        fdroom_note(new_fd);
    if (from.kind == FDMAP_CONN)
        atomic_fetch_add(&vlisten_forks, 1);
    if (from.kind != FDMAP_LISTENER && from.kind != FDMAP_EPOLL &&
        (to.kind == FDMAP_UNKNOWN || to.kind == FDMAP_FOREIGN))
        on_plain_dup(from, to, new_fd);
    else if (!is_in_vfork_child())
        on_notable_dup(from, to, new_fd);
    return new_fd;
}

/* What dup2 and dup3 do to the number they overwrite, unless the call will fail. True: as
 * on_close(). */
static bool before_overwrite(int fd, int new_fd)
{
    int saved = errno;
    bool must_settle = false;
    struct fdmap_entry entry = fdmap_get(new_fd);
    bool is_ours =
        entry.kind == FDMAP_LISTENER || entry.kind == FDMAP_EPOLL || entry.kind == FDMAP_HIDDEN;

    if (fd == new_fd || !is_ours || is_in_vfork_child() || NEXT(fcntl)(fd, F_GETFD) < 0)
        return false;
    if (entry.kind != FDMAP_HIDDEN)
        must_settle = on_close(new_fd, true);
    else
        close_move_hidden(new_fd, entry.index);
    errno = saved;
    return must_settle;
}

SSHIM_EXPORT int dup(int fd)
{
    fd = fdmap_shown(fd);
    return on_dup(fd, NEXT(dup)(fd), true);
}

SSHIM_EXPORT int dup2(int fd, int new_fd)
{
    fd = fdmap_shown(fd);
    bool must_settle = env_managed() && before_overwrite(fd, new_fd);
    int result = NEXT(dup2)(fd, new_fd);
    if (must_settle)
        close_settle();
    return fd == new_fd ? result : on_dup(fd, result, false);
}

SSHIM_EXPORT int dup3(int fd, int new_fd, int flags)
{
    fd = fdmap_shown(fd);
    bool must_settle =
        env_managed() && fd != new_fd && !(flags & ~O_CLOEXEC) && before_overwrite(fd, new_fd);
    int result = NEXT(dup3)(fd, new_fd, flags);
    if (must_settle)
        close_settle();
    return on_dup(fd, result, false);
}

/* F_GETFL and F_SETFL of a listener: O_NONBLOCK of the canonical socket is not the program's to
 * change. */
static int set_status_flags(struct vlisten *listener, int fd, unsigned long flags)
{
    if (atomic_load(&listener->direct))
        return prefork_set_flags(listener, fd, flags);
    int result = NEXT(fcntl)(fd, F_SETFL, flags);
    if (result == 0 && vlisten_is_owner())
        vlisten_set_nonblock(listener, flags & O_NONBLOCK);
    return result;
}

/* flags are the kernel's. A socket is open for reading and writing: else it need not be asked what
 * it is. */
static int get_status_flags(int fd, int flags)
{
    if (flags < 0)
        return flags;
    if (fdmap_get(fd).kind == FDMAP_UNKNOWN && (flags & O_ACCMODE) != O_RDWR) {
        fdmap_set(fd, FDMAP_FOREIGN, 0);
        return flags;
    }
    struct vlisten *listener = recognise_fd(fd);
    if (!listener || !atomic_load(&listener->direct))
        return flags;
    return (flags & ~O_NONBLOCK) | (vlisten_is_nonblock(listener) ? O_NONBLOCK : 0);
}

static int managed_fcntl(int (*next)(int, int, ...), int fd, int command, unsigned long argument)
{
    fd = fdmap_shown(fd);
    switch (command) {
    case F_DUPFD:
    case F_DUPFD_CLOEXEC: return on_dup(fd, next(fd, command, argument), argument == 0);
    case F_GETFL: return get_status_flags(fd, next(fd, command, argument));
    case F_SETFL: {
        struct vlisten *listener = recognise_fd(fd);
        if (!listener)
            break;
        return set_status_flags(listener, fd, argument);
    }
    default: break;
    }
    return next(fd, command, argument);
}

/* The third argument is an int, a long or a pointer: all travel in one register or slot. */
#define TAKE_ARGUMENT(last)                                                                        \
    va_list arguments;                                                                             \
    va_start(arguments, last);                                                                     \
    unsigned long argument = va_arg(arguments, unsigned long);                                     \
    va_end(arguments)

SSHIM_EXPORT int fcntl(int fd, int command, ...)
{
    TAKE_ARGUMENT(command);
    return env_managed() ? managed_fcntl(NEXT(fcntl), fd, command, argument)
                         : NEXT(fcntl)(fd, command, argument);
}

SSHIM_EXPORT int fcntl64(int fd, int command, ...)
{
    TAKE_ARGUMENT(command);
    return env_managed() ? managed_fcntl(NEXT(fcntl64), fd, command, argument)
                         : NEXT(fcntl64)(fd, command, argument);
}

/* What concerns the descriptor and its waiting stays; all else is asked of the real socket. */
static bool is_about_descriptor(IOCTL_REQUEST request)
{
    switch (request) {
    case FIONBIO:
    case FIOASYNC:
    case FIOCLEX:
    case FIONCLEX:
    case FIOSETOWN:
    case FIOGETOWN:
    case SIOCSPGRP:
    case SIOCGPGRP: return true;
    default: return false;
    }
}

/* Until this copy listens its own socket is asked: the shared one may listen for others already. */
static int socket_to_ask(struct vlisten *listener, int fd)
{
    int own_fd = atomic_load(&listener->own_fd);

    return own_fd >= 0 && !vlisten_listens(listener) ? own_fd : vlisten_real_fd(listener, fd);
}

/* FIONBIO on a canonical socket: O_NONBLOCK is emulated. */
static int pretend_nonblock(struct vlisten *listener, int fd, const int *on)
{
    if (!userptr_is_readable(on, sizeof *on, USERPTR_OTHER)) {
        errno = EFAULT;
        return -1;
    }
    unsigned long flags = (unsigned long)NEXT(fcntl)(fd, F_GETFL) & ~(unsigned long)O_NONBLOCK;
    return prefork_set_flags(listener, fd, *on ? flags | O_NONBLOCK : flags);
}

SSHIM_EXPORT int ioctl(int fd, IOCTL_REQUEST request, ...)
{
    TAKE_ARGUMENT(request);
    struct vlisten *listener = NULL;

    fd = fdmap_shown(fd);
    if (env_managed() && (request == FIONBIO || fdmap_get(fd).kind == FDMAP_LISTENER))
        listener = recognise_fd(fd);
    if (!listener)
        return NEXT(ioctl)(fd, request, argument);
    if (!is_about_descriptor(request))
        return NEXT(ioctl)(socket_to_ask(listener, fd), request, argument);
    if (request != FIONBIO)
        return NEXT(ioctl)(fd, request, argument);
    if (atomic_load(&listener->direct))
        return pretend_nonblock(listener, fd, (const int *)argument);
    int result = NEXT(ioctl)(fd, request, argument);
    if (result == 0)
        vlisten_set_nonblock(listener, *(const int *)argument != 0);
    return result;
}
