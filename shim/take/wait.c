/*
 * wait.c - hints of waiting. An epoll fd is known from epoll_ctl, or where that was not seen
 * (before bind, a raw system call) learnt from the accept that follows the wait.
 */
#include "shim/take/wait.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/epoll.h>

#include "shim/base/fdmap.h"
#include "shim/base/next.h"
#include "shim/base/userptr.h"
#include "shim/take/announce.h"
#include "shim/take/attend.h"
#include "shim/take/direct.h"

#define EPOLL_SETS 256
#define GUESSES_TO_SKIP 255

/* By index of FDMAP_EPOLL: the listeners that are registered in that epoll fd. */
static _Atomic uint64_t epoll_sets[EPOLL_SETS];

/* By the same index: how one of them was registered, so that its event can be told by us. */
struct registration {
    _Atomic int epoll_fd; /* plus 1; 0: none */
    _Atomic int fd;
    _Atomic uint64_t data;
};
static struct registration registrations[EPOLL_SETS];

/* initial-exec: the default model would call __tls_get_addr, which may allocate. */
#define THREAD_LOCAL static __thread __attribute__((tls_model("initial-exec")))

THREAD_LOCAL uint64_t raised;
THREAD_LOCAL int last_epoll_fd = -1;
THREAD_LOCAL bool last_epoll_reported; /* something, and nothing was accepted since */
THREAD_LOCAL int guesses_to_skip;      /* accepts until a wrong guess is tried again */

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
    return vlisten_bit(entry.index);
}

uint64_t wait_mask_poll(const struct pollfd *fds, nfds_t count)
{
    uint64_t mask = 0;

    if (count > FDMAP_SIZE || !userptr_is_writable(fds, count * sizeof *fds, USERPTR_WAIT))
        return 0;
    for (nfds_t i = 0; i < count; i++)
        if (fds[i].events & POLLIN)
            mask |= listener_bit(fds[i].fd);
    return mask;
}

uint64_t wait_mask_select(int count, const fd_set *readable)
{
    uint64_t mask = 0;

    /* getdtablesize() is passed as well, with sets of the usual size: the kernel reads no further
     * than there are descriptors */
    if (count > FD_SETSIZE)
        count = FD_SETSIZE;
    if (!readable || count <= 0 ||
        !userptr_is_writable(readable, (size_t)(count + 63) / 64 * 8, USERPTR_WAIT))
        return 0;
    for (int fd = 0; fd < count; fd++)
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

/* Whether fd is registered in epoll_fd: adding it once more is refused. Without events nobody is
 * woken meanwhile. */
static bool is_registered(int epoll_fd, int fd)
{
    struct epoll_event nothing = {0};

    if (NEXT(epoll_ctl)(epoll_fd, EPOLL_CTL_ADD, fd, &nothing) < 0)
        return errno == EEXIST;
    NEXT(epoll_ctl)(epoll_fd, EPOLL_CTL_DEL, fd, NULL);
    return false;
}

/* Returns the index of the set, or -1: there is no room. */
static int add_to_set(int epoll_fd, struct fdmap_entry entry, uint64_t bit)
{
    if (entry.kind == FDMAP_EPOLL) {
        atomic_fetch_or(&epoll_sets[entry.index], bit);
        return (int)entry.index;
    }
    int set = reserve_set(bit);
    if (set >= 0)
        fdmap_set(epoll_fd, FDMAP_EPOLL, (unsigned)set);
    return set;
}

/* Only what a readable listener means everywhere can be told: one-shot has a state in the kernel.
 */
static bool can_be_told(const struct epoll_event *event)
{
    return (event->events & EPOLLIN) && !(event->events & EPOLLONESHOT);
}

void wait_note_epoll_ctl(int epoll_fd, int operation, int fd, const struct epoll_event *event)
{
    uint64_t bit = listener_bit(fd);
    struct fdmap_entry entry = fdmap_get(epoll_fd);
    int set = -1;

    if (!bit)
        return;
    attend_end(&vlisten_table[__builtin_ctzll(bit)]);
    if (entry.kind == FDMAP_EPOLL) {
        atomic_store(&registrations[entry.index].epoll_fd, 0);
        atomic_fetch_and(&epoll_sets[entry.index], ~bit);
    }
    if (operation == EPOLL_CTL_DEL || !(event->events & EPOLLIN) ||
        (set = add_to_set(epoll_fd, entry, bit)) < 0 || !can_be_told(event))
        return;
    atomic_store(&registrations[set].fd, fd);
    atomic_store(&registrations[set].data, event->data.u64);
    atomic_store(&registrations[set].epoll_fd, epoll_fd + 1);
}

/* Whether connections wait for any of them, in the backlog or in the broker's care. */
static bool is_wanted(uint64_t listeners)
{
    for (uint64_t rest = listeners; rest; rest &= rest - 1) {
        struct vlisten *listener = &vlisten_table[__builtin_ctzll(rest)];
        if (board_starving(listener->board) != BOARD_FED || direct_is_possible(listener))
            return true;
    }
    return false;
}

/* It came to wait, even if it will not: its waiting can be seen. */
static void note_visit(uint64_t listeners)
{
    for (uint64_t rest = listeners; rest; rest &= rest - 1)
        atomic_fetch_add_explicit(&vlisten_table[__builtin_ctzll(rest)].board->worker.waits, 1,
                                  memory_order_relaxed);
}

/* The listener that can be told readable in this epoll fd, or NULL. */
static struct vlisten *find_registered(int epoll_fd, const struct registration *registration)
{
    int fd = atomic_load_explicit(&registration->fd, memory_order_relaxed);
    struct fdmap_entry entry = fdmap_get(fd);
    int saved = errno;

    bool known =
        atomic_load_explicit(&registration->epoll_fd, memory_order_relaxed) == epoll_fd + 1 &&
        entry.kind == FDMAP_LISTENER && is_registered(epoll_fd, fd);
    errno = saved;
    return known ? &vlisten_table[entry.index] : NULL;
}

/* Only where the epoll_ctl was seen is it known what the event must look like. */
static void consider_attending(int epoll_fd)
{
    struct fdmap_entry entry = fdmap_get(epoll_fd);
    struct registration *registration = &registrations[entry.index];

    if (atomic_load_explicit(&registration->epoll_fd, memory_order_relaxed) != epoll_fd + 1)
        return;
    struct fdmap_entry listener =
        fdmap_get(atomic_load_explicit(&registration->fd, memory_order_relaxed));
    if (listener.kind == FDMAP_LISTENER)
        attend_consider(&vlisten_table[listener.index], epoll_fd, entry.index);
}

/* False: the program knows of no such listener in this epoll fd any more; or another process that
 * shares it attends, and this one may not take. */
static bool translate(int epoll_fd, struct epoll_event *event)
{
    struct vlisten *marked, *listener;
    unsigned set;

    if (!attend_is_mark(event->data.u64, &marked, &set))
        return true;
    listener = find_registered(epoll_fd, &registrations[set]);
    if (!listener) {
        attend_remove(marked, epoll_fd);
        return false;
    }
    if (!attend_is_on(listener) && !direct_is_permitted(listener)) {
        attend_yield_for(listener, epoll_fd);
        return false;
    }
    direct_tell(listener);
    event->events = EPOLLIN;
    event->data.u64 = atomic_load_explicit(&registrations[set].data, memory_order_relaxed);
    return true;
}

/* The event of this listener, or count; -1: not known. */
static int find_event(int epoll_fd, struct vlisten *listener, const struct epoll_event *events,
                      int count)
{
    struct fdmap_entry entry = fdmap_get(epoll_fd);
    struct registration *registration = &registrations[entry.index];
    int i = 0;

    if (atomic_load_explicit(&registration->epoll_fd, memory_order_relaxed) != epoll_fd + 1 ||
        atomic_load_explicit(&registration->fd, memory_order_relaxed) !=
            atomic_load_explicit(&listener->fd, memory_order_relaxed))
        return -1;
    uint64_t data = atomic_load_explicit(&registration->data, memory_order_relaxed);
    while (i < count && events[i].data.u64 != data)
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

static int announce_all(int epoll_fd, struct epoll_event *events, int count)
{
    for (uint64_t rest = wait_mask_epoll(epoll_fd); rest; rest &= rest - 1) {
        struct vlisten *listener = &vlisten_table[__builtin_ctzll(rest)];
        if (!vlisten_is_nonblock(listener))
            count = announce(epoll_fd, listener, events, count);
    }
    return count;
}

int wait_translate(int epoll_fd, struct epoll_event *events, int count)
{
    int kept = 0;

    if (count <= 0)
        return count;
    last_epoll_fd = epoll_fd;
    last_epoll_reported = true;
    /* Whoever has a listener: processes may share one epoll fd, of which one attends. */
    if (!atomic_load_explicit(&vlisten_any, memory_order_relaxed))
        return count;
    for (int i = 0; i < count; i++)
        if (translate(epoll_fd, &events[i]))
            events[kept++] = events[i];
    return announce_all(epoll_fd, events, kept);
}

static struct epoll_event event_of(const struct registration *registration)
{
    return (struct epoll_event){
        .events = EPOLLIN,
        .data.u64 = atomic_load_explicit(&registration->data, memory_order_relaxed)};
}

/*
 * First, a loop that has something to do is not waiting: it must not be given a connection that
 * others could serve sooner. Second, one that has nothing to do, while connections wait in the
 * backlog, would ask the broker, and the broker would send one. Instead it is told that its
 * listener is readable, and its accept() takes from the canonical socket; somebody else may be
 * faster, as between any two processes that share a listener.
 */
int wait_take_turn(uint64_t listeners, int epoll_fd, struct epoll_event *events, int max)
{
    if (listeners)
        consider_attending(epoll_fd);
    if (!is_wanted(listeners))
        return 0;
    note_visit(listeners);
    int ready = wait_translate(epoll_fd, events, NEXT(epoll_wait)(epoll_fd, events, max, 0));
    struct fdmap_entry entry = fdmap_get(epoll_fd);
    if (ready != 0 || entry.kind != FDMAP_EPOLL)
        return ready;
    struct registration *registration = &registrations[entry.index];
    struct vlisten *listener = find_registered(epoll_fd, registration);
    if (!listener || !direct_is_possible(listener) || !direct_is_ready(listener) ||
        !userptr_is_writable(events, sizeof *events, USERPTR_WAIT))
        return 0;
    direct_tell(listener);
    events[0] = event_of(registration);
    return 1;
}

static bool is_seen(int epoll_fd, uint64_t listener)
{
    struct fdmap_entry entry = fdmap_get(epoll_fd);

    return entry.kind == FDMAP_EPOLL &&
           (atomic_load_explicit(&epoll_sets[entry.index], memory_order_relaxed) & listener);
}

void wait_learn(struct vlisten *listener, int fd)
{
    uint64_t bit = vlisten_bit(vlisten_index(listener));
    struct fdmap_entry entry = fdmap_get(last_epoll_fd);

    if (last_epoll_fd < 0 || !bit || is_seen(last_epoll_fd, bit))
        return;
    if (guesses_to_skip > 0) {
        guesses_to_skip--;
        return;
    }
    if (is_registered(last_epoll_fd, fd))
        add_to_set(last_epoll_fd, entry, bit);
    else
        guesses_to_skip = GUESSES_TO_SKIP;
}

bool wait_may_have_reported(struct vlisten *listener, int fd)
{
    uint64_t bit = vlisten_bit(vlisten_index(listener));
    bool reported = last_epoll_reported;

    last_epoll_reported = false;
    if (!reported || is_seen(last_epoll_fd, bit))
        return false;
    int saved = errno;
    wait_learn(listener, fd);
    errno = saved;
    return is_seen(last_epoll_fd, bit);
}

void wait_forget_listener(unsigned index)
{
    for (int i = 0; i < EPOLL_SETS; i++)
        if (atomic_load_explicit(&epoll_sets[i], memory_order_relaxed))
            atomic_fetch_and(&epoll_sets[i], ~vlisten_bit(index));
}

void wait_forget_registration(int fd)
{
    int saved = errno;

    for (int i = 0; fd >= 0 && i < EPOLL_SETS; i++) {
        int epoll_fd = atomic_load_explicit(&registrations[i].epoll_fd, memory_order_relaxed) - 1;
        if (epoll_fd >= 0 && atomic_load(&registrations[i].fd) == fd)
            NEXT(epoll_ctl)(epoll_fd, EPOLL_CTL_DEL, fd, NULL);
    }
    errno = saved;
}

void wait_forget_epoll(unsigned index)
{
    struct fdmap_entry entry = fdmap_get(atomic_load(&registrations[index].fd));

    if (entry.kind == FDMAP_LISTENER)
        attend_end(&vlisten_table[entry.index]);
    atomic_store(&registrations[index].epoll_fd, 0);
    atomic_store(&epoll_sets[index], 0);
}

void wait_on_fork(void)
{
    raised = 0;
    attend_on_fork();
}
