/* vlisten.c - the table of this process's shared listeners: making, finding, counting and dropping
 * records. */
#include "shim/record/vlisten.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/un.h>
#include <unistd.h>

#include "proto/channel_name.h"
#include "proto/fdpass.h"
#include "shim/accept/prefork.h"
#include "shim/base/env.h"
#include "shim/base/fdmap.h"
#include "shim/base/fdroom.h"
#include "shim/base/next.h"
#include "shim/take/attend.h"
#include "shim/take/wait.h"

struct vlisten vlisten_table[VLISTEN_MAX];
_Atomic bool vlisten_has_accepted;
_Atomic bool vlisten_has_recognised;
_Atomic bool vlisten_any;

#define SETTLE_MS 200
#define CHANGING (-1)

static _Atomic pid_t owner_pid;

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

void vlisten_move_hidden(int fd, unsigned index)
{
    struct vlisten *listener = &vlisten_table[index];

    attend_end(listener); /* epoll knows it by its number */
    int moved = vlisten_hide_fd(fd, index);

    if (atomic_load(&listener->shadow_fd) == fd)
        atomic_store(&listener->shadow_fd, moved);
    if (atomic_load(&listener->own_fd) == fd)
        atomic_store(&listener->own_fd, moved);
    if (atomic_load(&listener->channel_fd) == fd)
        atomic_store(&listener->channel_fd, moved);
    fdmap_clear(fd);
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
        if (atomic_compare_exchange_strong(&listener->refs, &free_refs, CHANGING))
            return listener;
    }
    return NULL;
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
    listener->channel = grant->channel;
    listener->backlog = grant->backlog;
    atomic_store(&listener->direct, false);
    atomic_store(&listener->played, false);
    atomic_store(&listener->retired, false);
    atomic_store(&listener->attended_epoll, 0);
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
    struct wire_head wake;

    wire_head_init(&wake, WIRE_WAKE);
    vlisten_tell(listener, &wake, sizeof wake);
}

/* Exactly one of several threads that close at once is the last. The record is not free before it
 * has been cleared. */
static bool take_last_ref(struct vlisten *listener)
{
    int refs = atomic_load(&listener->refs);

    while (refs > 0 &&
           !atomic_compare_exchange_weak(&listener->refs, &refs, refs == 1 ? CHANGING : refs - 1))
        ;
    return refs == 1;
}

void vlisten_drop_ref(struct vlisten *listener, int fd)
{
    struct wire_head goodbye;
    int used_last = fd;

    atomic_compare_exchange_strong(&listener->fd, &used_last, -1);
    if (!take_last_ref(listener))
        return;
    atomic_store(&listener->fd, fd);
    if (atomic_fetch_sub(&listener->board->worker.holders, 1) == 1) {
        wait_forget_registration(fd);
        wire_head_init(&goodbye, WIRE_CLOSE);
        vlisten_tell(listener, &goodbye, sizeof goodbye);
    }
    vlisten_release(listener);
}

bool vlisten_has_fd(const struct vlisten *listener, int fd)
{
    struct fdmap_entry entry = fdmap_get(fd);
    return entry.kind == FDMAP_LISTENER && entry.index == vlisten_index(listener);
}

bool vlisten_must_settle(struct vlisten *listener)
{
    return board_has_flag(listener->board, BOARD_EXACT) && atomic_load(&listener->refs) == 1 &&
           atomic_load(&listener->board->worker.holders) == 1;
}

/* Any question will do: the broker looks at the end of a channel before it answers a later one. */
void vlisten_settle(void)
{
    struct wire_attach question = {.auth = env.auth};
    int saved = errno;
    int link_fd = link_open_within(SETTLE_MS);

    if (link_fd >= 0) {
        struct pollfd answer = {.fd = link_fd, .events = POLLIN};
        wire_head_init(&question.head, WIRE_ATTACH);
        if (fdpass_send(link_fd, &question, sizeof question, -1, MSG_DONTWAIT) == 0)
            NEXT(poll)(&answer, 1, SETTLE_MS);
        NEXT(close)(link_fd);
    }
    errno = saved;
}

void vlisten_release(struct vlisten *listener)
{
    wait_forget_listener(vlisten_index(listener));
    /* others hold the file: closing would not remove it from epoll */
    if (attend_release(listener))
        vlisten_finish_release(listener);
}

void vlisten_finish_release(struct vlisten *listener)
{
    vlisten_close_hidden(&listener->shadow_fd);
    vlisten_close_hidden(&listener->own_fd);
    vlisten_close_hidden(&listener->channel_fd);
    atomic_store(&listener->fd, -1);
    atomic_store(&listener->refs, 0);
}

int vlisten_shutdown(struct vlisten *listener, int fd, int how)
{
    struct wire_head goodbye;

    if (!(atomic_load(&listener->board->worker.flags) & BOARD_LISTENING)) {
        errno = ENOTCONN;
        return -1;
    }
    if (how == SHUT_WR)
        return 0; /* tcp(7): a listening socket has nothing to write */
    attend_end(listener);
    atomic_fetch_or(&listener->board->worker.flags, BOARD_SHUT);
    atomic_fetch_and(&listener->board->worker.flags, ~(uint32_t)BOARD_LISTENING);
    wire_head_init(&goodbye, WIRE_CLOSE);
    atomic_store(&listener->fd, fd);
    vlisten_tell(listener, &goodbye, sizeof goodbye);
    if (atomic_load(&listener->direct) && !prefork_end(listener, fd))
        return 0;
    return NEXT(shutdown)(fd, SHUT_RDWR);
}

void vlisten_on_fork(void)
{
    atomic_store(&owner_pid, getpid());
    fdmap_forget_connections();
}

/* --- recognising a channel by its peer's name --- */

static struct vlisten *find_channel(uint64_t channel)
{
    for (unsigned i = 0; i < VLISTEN_MAX; i++)
        if (atomic_load(&vlisten_table[i].refs) > 0 && vlisten_table[i].channel == channel)
            return &vlisten_table[i];
    return NULL;
}

static struct vlisten *attach(int fd, uint64_t channel)
{
    struct wire_attach request = {.auth = env.auth, .channel = channel};
    struct link_grant grant;
    int link_fd = link_open();

    if (link_fd < 0)
        return NULL;
    wire_head_init(&request.head, WIRE_ATTACH);
    int result = link_ask(link_fd, &request, sizeof request, fd, &grant);
    NEXT(close)(link_fd);
    if (result < 0)
        return NULL;
    struct vlisten *listener = grant.verdict == WIRE_SHARED ? vlisten_create(&grant) : NULL;
    if (listener) {
        vlisten_set_nonblock(listener, NEXT(fcntl)(fd, F_GETFL) & O_NONBLOCK);
        atomic_store(&listener->fd, fd);
        fdmap_set(fd, FDMAP_LISTENER, vlisten_index(listener));
        atomic_store(&vlisten_has_recognised, true);
    } else if (grant.verdict == WIRE_SHARED) {
        link_grant_refuse(&grant, fd);
    }
    link_grant_finish(&grant);
    return listener;
}

static bool get_channel(int fd, uint64_t *channel)
{
    struct sockaddr_un name;
    socklen_t len = sizeof name;

    return NEXT(getpeername)(fd, (struct sockaddr *)&name, &len) == 0 &&
           channel_name_parse(&name, len, channel);
}

bool vlisten_is_channel(int fd)
{
    uint64_t channel;
    int saved = errno;
    bool is = get_channel(fd, &channel);

    errno = saved;
    return is;
}

static struct vlisten *recognise(int fd)
{
    uint64_t channel;

    if (!get_channel(fd, &channel)) {
        struct vlisten *shared = errno == ENOTCONN ? prefork_recognise(fd) : NULL;
        if (!shared)
            fdmap_set(fd, FDMAP_FOREIGN, 0);
        return shared;
    }
    struct vlisten *known = find_channel(channel);
    if (!known)
        return attach(fd, channel);
    vlisten_add_ref(known, fd);
    return known;
}

struct vlisten *vlisten_find_again(int fd)
{
    int saved = errno;
    struct vlisten *listener = fdmap_get(fd).kind == FDMAP_HIDDEN ? NULL : recognise(fd);

    errno = saved;
    return listener;
}

struct vlisten *vlisten_find(int fd)
{
    struct fdmap_entry entry = fdmap_get(fd);

    if (entry.kind == FDMAP_LISTENER)
        return &vlisten_table[entry.index];
    if (entry.kind != FDMAP_UNKNOWN || fd < 0)
        return NULL;
    return vlisten_find_again(fd);
}
