/*
 * wait.c - hints of waiting. An epoll fd is known from epoll_ctl (epoll_set.h). If that was not
 * seen (a raw system call), it is learnt from the accept that follows the wait.
 */
#include "shim/take/wait.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/epoll.h>

#include "shim/base/next.h"
#include "shim/base/userptr.h"
#include "shim/take/announce.h"
#include "shim/take/direct.h"
#include "shim/take/epoll_set.h"
#include "shim/take/wait_exclusive.h"

#define GUESSES_TO_SKIP 255

/* initial-exec: the default model would call __tls_get_addr, which may allocate. */
#define THREAD_LOCAL static __thread __attribute__((tls_model("initial-exec")))

THREAD_LOCAL uint64_t raised;
THREAD_LOCAL int last_epoll_fd = -1;
THREAD_LOCAL uint64_t last_epoll_listeners; /* registered there, as far as is known */
THREAD_LOCAL bool last_epoll_reported;      /* something, and nothing was accepted since */
THREAD_LOCAL unsigned first_listener;       /* to look at in the next turn */
THREAD_LOCAL int guesses_to_skip;           /* accepts until a wrong guess is tried again */

void wait_end(void)
{
    for (uint64_t rest = raised; rest; rest &= rest - 1)
        board_lower(vlisten_table[__builtin_ctzll(rest)].board);
    raised = 0;
}

void wait_begin(uint64_t listeners)
{
    if (raised)
        wait_end();
    raised = listeners;
    for (uint64_t rest = listeners; rest; rest &= rest - 1) {
        struct vlisten *listener = &vlisten_table[__builtin_ctzll(rest)];
        board_raise(listener->board);
        if (board_claim_wake(listener->board))
            vlisten_wake_broker(listener);
    }
}

bool wait_has_time(const struct timespec *timeout)
{
    if (!timeout)
        return true;
    return userptr_is_readable(timeout, sizeof *timeout, USERPTR_TIMEOUT) &&
           (timeout->tv_sec != 0 || timeout->tv_nsec != 0);
}

uint64_t wait_mask_epoll(int epoll_fd)
{
    last_epoll_fd = epoll_fd;
    last_epoll_listeners = epoll_set_listeners(epoll_set_of(epoll_fd));
    return last_epoll_listeners;
}

/* Whether connections wait for any of them, in the backlog or in the broker's care. */
static bool is_wanted(uint64_t listeners)
{
    for (uint64_t rest = listeners; rest; rest &= rest - 1) {
        struct vlisten *listener = &vlisten_table[__builtin_ctzll(rest)];
        if (board_queue(listener->board) != BOARD_QUEUE_EMPTY || direct_is_possible(listener))
            return true;
    }
    return false;
}

void wait_note_visit(uint64_t listeners)
{
    for (uint64_t rest = listeners; rest; rest &= rest - 1)
        atomic_fetch_add_explicit(&vlisten_table[__builtin_ctzll(rest)].board->worker.waits, 1,
                                  memory_order_relaxed);
}

/* The event to report is known only if epoll_ctl was seen. */
static void consider_attending(int epoll_fd, uint64_t listeners)
{
    int set = epoll_set_of(epoll_fd);
    struct epoll_event event;

    for (uint64_t rest = listeners; rest; rest &= rest - 1) {
        struct vlisten *listener = &vlisten_table[__builtin_ctzll(rest)];
        if (epoll_set_find(set, listener, false, &event))
            wait_exclusive_consider(listener, epoll_fd, (unsigned)set);
    }
}

/* An event of ours. False: the program has removed this listener from the epoll fd; or another
 * process that shares the epoll fd waits exclusively, and this one may not take. */
static bool translate(int epoll_fd, struct epoll_event *event)
{
    unsigned set;
    struct vlisten *listener = wait_exclusive_read_mark(event->data.u64, &set);

    if (!epoll_set_find((int)set, listener, true, event)) {
        wait_exclusive_remove(listener, epoll_fd);
        return false;
    }
    if (!vlisten_attends(listener) && !direct_is_permitted(listener)) {
        wait_exclusive_yield_for(listener, epoll_fd);
        return false;
    }
    direct_tell(listener);
    return true;
}

/* The event of this listener, or count; -1: not known. */
static int find_event(int epoll_fd, struct vlisten *listener, const struct epoll_event *events,
                      int count)
{
    struct epoll_event expected;
    int i = 0;

    if (!epoll_set_find(epoll_set_of(epoll_fd), listener, false, &expected))
        return -1;
    while (i < count && events[i].data.u64 != expected.data.u64)
        i++;
    return i;
}

/* Returns how many events are left. */
static int announce(int epoll_fd, struct vlisten *listener, struct epoll_event *events, int count)
{
    int fd = atomic_load_explicit(&listener->fd, memory_order_relaxed);
    int at = find_event(epoll_fd, listener, events, count);

    if (at == count || fd < 0 || announce_confirm(listener, fd))
        return count;
    if (at < 0) {
        announce_insist(listener);
        return count;
    }
    for (int i = at + 1; i < count; i++)
        events[i - 1] = events[i];
    return count - 1;
}

/* A listener that another thread has registered meanwhile is found by its accept, see
 * wait_may_have_reported(). */
int wait_translate(uint64_t listeners, int epoll_fd, struct epoll_event *events, int count)
{
    int kept = 0;

    if (count <= 0)
        return count;
    last_epoll_fd = epoll_fd;
    last_epoll_listeners = listeners;
    last_epoll_reported = true;
    /* For each process with a listener: processes may share one epoll fd, in which one waits
     * exclusively. */
    if (!atomic_load_explicit(&vlisten_any, memory_order_relaxed))
        return count;
    for (int i = 0; i < count; i++)
        if ((events[i].data.u64 & WAIT_EXCLUSIVE_MASK) != WAIT_EXCLUSIVE_MARK ||
            translate(epoll_fd, &events[i]))
            events[kept++] = events[i];
    for (uint64_t rest = listeners; rest; rest &= rest - 1) {
        struct vlisten *listener = &vlisten_table[__builtin_ctzll(rest)];
        if (!vlisten_is_nonblock(listener))
            kept = announce(epoll_fd, listener, events, kept);
    }
    return kept;
}

/* A connection that one of these listeners may take past the broker: its event. Each time another
 * listener comes first. */
static bool find_connection(int set, uint64_t listeners, struct epoll_event *event)
{
    for (unsigned i = 0; i < VLISTEN_SEEN; i++) {
        unsigned index = (first_listener + i) % VLISTEN_SEEN;
        struct vlisten *listener = &vlisten_table[index];
        if ((listeners & vlisten_bit(listener)) && direct_is_possible(listener) &&
            epoll_set_find(set, listener, true, event) && direct_is_ready(listener)) {
            direct_tell(listener);
            first_listener = index + 1;
            return true;
        }
    }
    return false;
}

/*
 * First, a loop that has something to do is not waiting: other workers could serve a connection
 * sooner. Second, if a loop has nothing to do while connections wait in the backlog, it would ask
 * the broker for one. Instead the library reports its listener readable, and its accept() takes
 * from the canonical socket; another process may be faster, as between any two processes that share
 * a listener.
 */
int wait_take_turn(uint64_t listeners, int epoll_fd, struct epoll_event *events, int max)
{
    struct epoll_event event;

    if (listeners)
        consider_attending(epoll_fd, listeners);
    if (!is_wanted(listeners))
        return 0;
    wait_note_visit(listeners);
    int ready =
        wait_translate(listeners, epoll_fd, events, NEXT(epoll_wait)(epoll_fd, events, max, 0));
    if (ready != 0 || !userptr_is_writable(events, sizeof *events, USERPTR_WAIT) ||
        !find_connection(epoll_set_of(epoll_fd), listeners, &event))
        return ready;
    events[0] = event;
    return 1;
}

void wait_learn(struct vlisten *listener, int fd)
{
    if (last_epoll_fd < 0 || (last_epoll_listeners & vlisten_bit(listener)))
        return;
    if (guesses_to_skip > 0)
        guesses_to_skip--;
    else if (epoll_set_learn(last_epoll_fd, listener, fd))
        wait_mask_epoll(last_epoll_fd);
    else
        guesses_to_skip = GUESSES_TO_SKIP;
}

bool wait_may_have_reported(struct vlisten *listener, int fd)
{
    uint64_t bit = vlisten_bit(listener);
    bool reported = last_epoll_reported;

    last_epoll_reported = false;
    if (!reported || (last_epoll_listeners & bit))
        return false;
    int saved = errno;
    wait_learn(listener, fd);
    errno = saved;
    return (last_epoll_listeners & bit) != 0;
}

void wait_on_fork(void)
{
    raised = 0;
    wait_exclusive_on_fork();
}
