/* wait_exclusive.c - see wait_exclusive.h. */
#include "shim/take/wait_exclusive.h"

#include <errno.h>
#include <sys/epoll.h>

#include "shim/base/next.h"
#include "shim/take/direct.h"

/* After a vain wake-up: so many waits without it, twice as many each time. */
#define REST_MIN 4
#define REST_MAX 256
#define ASSURE_EVERY 64 /* waits */

/*
 * exclusive_epoll: 0, an epoll fd plus 1, or one of these. Closing an fd before EPOLL_CTL_DEL makes
 * its registration undeletable. If one thread stops while another still registers, the registering
 * thread deletes and closes.
 */
#define BEGINNING (-1)
#define ENDED (-2)    /* while it began */
#define RELEASED (-3) /* while it began, or before; never again with this record */

/* False: it failed, or another thread has ended it meanwhile, as if it had never begun. */
static bool add(struct vlisten *listener, int epoll_fd, unsigned set)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLEXCLUSIVE,
                                .data.u64 =
                                    WAIT_EXCLUSIVE_MARK | vlisten_index(listener) << 8 | set};
    int shadow_fd = atomic_load(&listener->shadow_fd);
    int state = BEGINNING;

    /* EEXIST: processes that share the epoll fd share the registration as well */
    bool is_new = NEXT(epoll_ctl)(epoll_fd, EPOLL_CTL_ADD, shadow_fd, &event) == 0;
    if (!is_new && errno != EEXIST)
        return false;
    if (is_new)
        atomic_fetch_add_explicit(&listener->board->worker.exclusive_waits, 1,
                                  memory_order_relaxed);
    if (atomic_compare_exchange_strong(&listener->exclusive_epoll, &state, epoll_fd + 1))
        return true;
    NEXT(epoll_ctl)(epoll_fd, EPOLL_CTL_DEL, shadow_fd, NULL);
    return false;
}

/* From this state: 0, or again when it is on. */
static void begin(struct vlisten *listener, int epoll_fd, unsigned set, int state)
{
    int saved = errno;

    if (!atomic_compare_exchange_strong(&listener->exclusive_epoll, &state, BEGINNING))
        return;
    if (add(listener, epoll_fd, set)) {
        atomic_store_explicit(&listener->wait_exclusive_rest, 0, memory_order_relaxed);
    } else {
        state = BEGINNING;
        while (state != RELEASED &&
               !atomic_compare_exchange_weak(&listener->exclusive_epoll, &state, 0))
            ;
        if (state == RELEASED)
            vlisten_finish_release(listener);
    }
    errno = saved;
}

void wait_exclusive_remove(struct vlisten *listener, int epoll_fd)
{
    int saved = errno;

    NEXT(epoll_ctl)(epoll_fd, EPOLL_CTL_DEL, atomic_load(&listener->shadow_fd), NULL);
    errno = saved;
}

void wait_exclusive_end(struct vlisten *listener)
{
    int state = atomic_load(&listener->exclusive_epoll);

    while ((state > 0 || state == BEGINNING) &&
           !atomic_compare_exchange_weak(&listener->exclusive_epoll, &state, state > 0 ? 0 : ENDED))
        ;
    if (state > 0)
        wait_exclusive_remove(listener, state - 1);
}

bool wait_exclusive_release(struct vlisten *listener)
{
    int state = atomic_exchange(&listener->exclusive_epoll, RELEASED);

    if (state > 0)
        wait_exclusive_remove(listener, state - 1);
    return state != BEGINNING && state != ENDED;
}

static void rest(struct vlisten *listener)
{
    int waits = atomic_load_explicit(&listener->wait_exclusive_next_rest, memory_order_relaxed);

    wait_exclusive_end(listener);
    atomic_store_explicit(&listener->wait_exclusive_rest, waits, memory_order_relaxed);
    waits = waits < REST_MIN ? REST_MIN : waits * 2 < REST_MAX ? waits * 2 : REST_MAX;
    atomic_store_explicit(&listener->wait_exclusive_next_rest, waits, memory_order_relaxed);
}

void wait_exclusive_note_success(struct vlisten *listener)
{
    atomic_store_explicit(&listener->wait_exclusive_next_rest, 0, memory_order_relaxed);
}

void wait_exclusive_yield(struct vlisten *listener)
{
    rest(listener);
    vlisten_wake_broker(listener);
}

void wait_exclusive_yield_for(struct vlisten *listener, int epoll_fd)
{
    wait_exclusive_remove(listener, epoll_fd);
    vlisten_wake_broker(listener);
}

/* Another process that shares the epoll fd may have ended our exclusive wait. */
static void assure(struct vlisten *listener, int epoll_fd, unsigned set)
{
    int waits = atomic_fetch_add_explicit(&listener->wait_exclusive_rest, 1, memory_order_relaxed);

    if (waits < ASSURE_EVERY)
        return;
    atomic_store_explicit(&listener->wait_exclusive_rest, 0, memory_order_relaxed);
    if (direct_is_free(listener))
        begin(listener, epoll_fd, set, epoll_fd + 1);
}

void wait_exclusive_consider(struct vlisten *listener, int epoll_fd, unsigned set)
{
    bool wanted = board_has_flag(listener->board, BOARD_WAIT_EXCLUSIVE);

    if (vlisten_attends(listener)) {
        if (!wanted)
            wait_exclusive_end(listener);
        else if (board_queue(listener->board) != BOARD_QUEUE_EMPTY && !direct_is_free(listener))
            rest(listener);
        else
            assure(listener, epoll_fd, set);
        return;
    }
    if (!wanted || board_queue(listener->board) != BOARD_QUEUE_EMPTY || !direct_is_free(listener))
        return;
    if (atomic_load_explicit(&listener->wait_exclusive_rest, memory_order_relaxed) > 0)
        atomic_fetch_sub_explicit(&listener->wait_exclusive_rest, 1, memory_order_relaxed);
    else
        begin(listener, epoll_fd, set, 0);
}

struct vlisten *wait_exclusive_read_mark(uint64_t data, unsigned *set)
{
    *set = data & 0xff;
    return &vlisten_table[(data >> 8) % VLISTEN_MAX];
}

void wait_exclusive_on_fork(void)
{
    for (unsigned i = 0; i < VLISTEN_MAX; i++)
        atomic_store_explicit(&vlisten_table[i].exclusive_epoll, 0, memory_order_relaxed);
}
