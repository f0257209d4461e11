/* vlisten.c - the table of this process's shared listeners: making, finding, counting and dropping
 * records. */
#include "shim/record/vlisten.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "proto/fdpass.h"
#include "shim/base/fdmap.h"
#include "shim/base/fdroom.h"
#include "shim/base/next.h"
#include "shim/record/proxied.h"

struct vlisten vlisten_table[VLISTEN_MAX];
_Atomic unsigned vlisten_accepts;
_Atomic bool vlisten_has_recognised;
_Atomic bool vlisten_any;
_Atomic bool vlisten_has_closed;
_Atomic uint32_t vlisten_forks;
struct vlisten *(*vlisten_recognise)(int fd);

static _Atomic pid_t owner_pid;
static _Atomic pid_t bound_by;      /* 0: not by this program */
static _Atomic int64_t accepted_ms; /* for the first time, of either kind; 0: never */

int64_t vlisten_now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void vlisten_note_first_accept(unsigned what)
{
    int64_t never = 0;

    atomic_compare_exchange_strong(&accepted_ms, &never, vlisten_now_ms());
    atomic_fetch_or(&vlisten_accepts, what);
}

void vlisten_note_bound(void)
{
    pid_t none = 0;

    atomic_compare_exchange_strong(&bound_by, &none, getpid());
}

bool vlisten_begins(void)
{
    return atomic_load(&bound_by) == getpid() &&
           vlisten_now_ms() - atomic_load(&accepted_ms) < WIRE_BEGINNING_MS;
}

bool vlisten_is_owner(void)
{
    pid_t owner = atomic_load(&owner_pid);
    return owner == 0 || owner == getpid();
}

/* Near the top of a small table, but below 1,024: a higher number would make the kernel enlarge the
 * table. */
static int hidden_floor(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur > 1024)
        return 1024 - 64;
    return limit.rlim_cur >= 64 ? (int)limit.rlim_cur - (int)limit.rlim_cur / 16 : 0;
}

int vlisten_hide_fd(int fd, unsigned index)
{
    int hidden = NEXT(fcntl)(fd, F_DUPFD_CLOEXEC, hidden_floor());

    if (hidden < 0)
        hidden = NEXT(fcntl)(fd, F_DUPFD_CLOEXEC, 3);
    if (hidden >= 0)
        fdmap_set(hidden, FDMAP_HIDDEN, index);
    return hidden;
}

void vlisten_close_hidden(_Atomic int *hidden_fd)
{
    int fd = atomic_exchange(hidden_fd, -1);

    if (fd < 0)
        return;
    fdmap_clear(fd);
    NEXT(close)(fd);
}

/* A record that is used keeps its page for ever: a thread may still sit in accept() on a listener
 * closed under it. */
static bool map_board(struct vlisten *listener, int board_fd)
{
    int fixed = listener->board ? MAP_FIXED : 0;
    void *page =
        mmap(listener->board, BOARD_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | fixed, board_fd, 0);

    if (page == MAP_FAILED)
        return false;
    listener->board = page;
    return true;
}

bool vlisten_is_full(void)
{
    for (unsigned i = 0; i < VLISTEN_MAX; i++)
        if (atomic_load(&vlisten_table[i].refs) == 0)
            return false;
    return true;
}

/* In turn: a record rests before it is used again, as a thread may still sit in a call on it. */
static struct vlisten *reserve(void)
{
    static _Atomic unsigned next;

    for (unsigned i = 0; i < VLISTEN_MAX; i++) {
        struct vlisten *listener = &vlisten_table[atomic_fetch_add(&next, 1) % VLISTEN_MAX];
        int free_refs = 0;
        if (atomic_compare_exchange_strong(&listener->refs, &free_refs, VLISTEN_CHANGING))
            return listener;
    }
    return NULL;
}

static bool is_of_port(int fd)
{
    int domain = AF_INET;
    socklen_t len = sizeof domain;

    return NEXT(getsockopt)(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) < 0 || domain != AF_UNIX;
}

struct vlisten *vlisten_create(struct link_grant *grant)
{
    struct vlisten *listener = reserve();

    if (!listener)
        return NULL;
    atomic_store(&listener->own_fd, -1);
    atomic_store(&listener->channel_fd, -1);
    int shadow_fd = vlisten_hide_fd(grant->shadow_fd, vlisten_index(listener));
    atomic_store(&listener->shadow_fd, shadow_fd);
    if (shadow_fd < 0 || !map_board(listener, grant->board_fd)) {
        vlisten_close_hidden(&listener->shadow_fd);
        atomic_store(&listener->refs, 0);
        return NULL;
    }
    board_set_worker_flag(listener->board, BOARD_CAN_NOTE, true);
    if (grant->flags) {
        proxied_note_use(grant->flags);
        proxied_prepare();
    }
    listener->channel = grant->channel;
    listener->backlog = grant->backlog;
    listener->accepts = VLISTEN_ACCEPTED | (is_of_port(shadow_fd) ? VLISTEN_ACCEPTED_AT_PORT : 0);
    atomic_store(&listener->direct, false);
    atomic_store(&listener->emulates_blocking, false);
    atomic_store(&listener->retired, false);
    atomic_store(&listener->exclusive_epoll, 0);
    atomic_store(&listener->fd, -1);
    atomic_store(&owner_pid, getpid());
    fdroom_learn_limit();
    atomic_store(&listener->refs, 1); /* not before it has a board: another thread may fork */
    atomic_store(&vlisten_any, true);
    return listener;
}

void vlisten_add_ref(struct vlisten *listener, int fd)
{
    atomic_fetch_add(&listener->refs, 1);
    atomic_store(&listener->fd, fd);
    fdmap_set(fd, FDMAP_LISTENER, vlisten_index(listener));
}

void vlisten_tell(struct vlisten *listener, const void *message, size_t len_bytes)
{
    int saved = errno;
    int fd = atomic_load(&listener->direct) ? atomic_load(&listener->channel_fd)
                                            : atomic_load(&listener->fd);

    if (fd >= 0)
        fdpass_send(fd, message, len_bytes, -1, MSG_DONTWAIT);
    errno = saved;
}

void vlisten_wake_broker(struct vlisten *listener)
{
    struct wire_head wake = WIRE_HEAD(WIRE_WAKE);

    vlisten_tell(listener, &wake, sizeof wake);
}

bool vlisten_has_fd(const struct vlisten *listener, int fd)
{
    struct fdmap_entry entry = fdmap_get(fd);
    return entry.kind == FDMAP_LISTENER && entry.index == vlisten_index(listener);
}

void vlisten_finish_release(struct vlisten *listener)
{
    vlisten_close_hidden(&listener->shadow_fd);
    vlisten_close_hidden(&listener->own_fd);
    vlisten_close_hidden(&listener->channel_fd);
    atomic_store(&listener->fd, -1);
    atomic_store(&listener->refs, 0);
}

void vlisten_on_fork(void)
{
    atomic_store(&owner_pid, getpid());
    atomic_store(&vlisten_forks, 0);
    fdmap_forget_connections();
}

void vlisten_tell_listening(struct vlisten *listener, int backlog)
{
    struct wire_listen message = {.head = WIRE_HEAD(WIRE_LISTEN), .backlog = backlog};

    vlisten_mark_listening(listener);
    vlisten_tell(listener, &message, sizeof message);
}

void vlisten_tell_closed(struct vlisten *listener)
{
    struct wire_head close_message = WIRE_HEAD(WIRE_CLOSE);

    vlisten_tell(listener, &close_message, sizeof close_message);
}
