/* wait.c - hints of waiting. Epoll fds are learnt (wait_learn), so that epoll_ctl need not be
 * hooked. */
#include "wait.h"

#include <errno.h>
#include <stdatomic.h>

#include "fdmap.h"

#define EPOLL_SETS 256

/* By index of FDMAP_EPOLL: the listeners that are registered in that epoll fd. */
static _Atomic uint64_t epoll_sets[EPOLL_SETS];

/* initial-exec: the default model would call __tls_get_addr, which may allocate. */
#define THREAD_LOCAL static __thread __attribute__((tls_model("initial-exec")))

THREAD_LOCAL uint64_t raised;
THREAD_LOCAL int last_epoll_fd = -1;

static void lower_all(void)
{
    for (uint64_t rest = raised; rest; rest &= rest - 1)
        board_lower(vlisten_table[__builtin_ctzll(rest)].board);
    raised = 0;
}

void wait_begin(uint64_t listeners)
{
    if (raised)
        lower_all();
    raised = listeners;
    for (uint64_t rest = listeners; rest; rest &= rest - 1) {
        struct vlisten *listener = &vlisten_table[__builtin_ctzll(rest)];
        board_raise(listener->board);
        if (board_claim_wake(listener->board))
            vlisten_wake_broker(listener);
    }
}

void wait_end(void)
{
    lower_all();
}

static uint64_t listener_bit(int fd)
{
    struct fdmap_entry entry = fdmap_get(fd);

    if (entry.kind != FDMAP_LISTENER)
        return 0;
    atomic_store_explicit(&vlisten_table[entry.index].fd, fd, memory_order_relaxed);
    return UINT64_C(1) << entry.index;
}

uint64_t wait_mask_poll(const struct pollfd *fds, nfds_t count)
{
    uint64_t mask = 0;

    for (nfds_t i = 0; i < count; i++)
        if (fds[i].events & POLLIN)
            mask |= listener_bit(fds[i].fd);
    return mask;
}

uint64_t wait_mask_select(int count, const fd_set *readable)
{
    uint64_t mask = 0;

    if (!readable)
        return 0;
    for (int fd = 0; fd < count && fd < FD_SETSIZE; fd++)
        if (FD_ISSET(fd, readable))
            mask |= listener_bit(fd);
    return mask;
}

uint64_t wait_mask_epoll(int epoll_fd)
{
    struct fdmap_entry entry = fdmap_get(epoll_fd);

    last_epoll_fd = epoll_fd;
    if (entry.kind != FDMAP_EPOLL)
        return 0;
    return atomic_load_explicit(&epoll_sets[entry.index], memory_order_relaxed);
}

static int reserve_set(uint64_t mask)
{
    for (int i = 0; i < EPOLL_SETS; i++) {
        uint64_t empty = 0;
        if (atomic_compare_exchange_strong(&epoll_sets[i], &empty, mask))
            return i;
    }
    return -1;
}

void wait_learn(struct vlisten *listener, int fd)
{
    uint64_t bit = UINT64_C(1) << vlisten_index(listener);
    struct fdmap_entry entry = fdmap_get(last_epoll_fd);

    (void)fd;
    if (last_epoll_fd < 0)
        return;
    if (entry.kind == FDMAP_EPOLL) {
        if (!(atomic_load_explicit(&epoll_sets[entry.index], memory_order_relaxed) & bit))
            atomic_fetch_or(&epoll_sets[entry.index], bit);
        return;
    }
    int set = reserve_set(bit);
    if (set >= 0)
        fdmap_set(last_epoll_fd, FDMAP_EPOLL, (unsigned)set);
}

void wait_forget_epoll(unsigned index)
{
    atomic_store(&epoll_sets[index], 0);
}

void wait_on_fork(void)
{
    raised = 0;
}
