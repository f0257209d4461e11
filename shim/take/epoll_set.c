/* epoll_set.c - see epoll_set.h. */
#include "shim/take/epoll_set.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shim/base/env.h"
#include "shim/base/next.h"
#include "shim/base/retarget.h"
#include "shim/take/wait_exclusive.h"

struct registration {
    _Atomic int listener; /* index plus 1; 0: free. Written last, cleared first. */
    _Atomic int fd;
    _Atomic uint64_t data;
};

static struct epoll_set {
    _Atomic int fds;      /* descriptors of the program that refer to it; 0: free */
    _Atomic int epoll_fd; /* one of them, the last that was used */
    _Atomic uint64_t listeners;
    struct registration registrations[EPOLL_SET_ROOM];
} sets[EPOLL_SETS];

static struct registration *find(struct epoll_set *set, const struct vlisten *listener)
{
    int wanted = (int)vlisten_index(listener) + 1;

    for (int i = 0; i < EPOLL_SET_ROOM; i++)
        if (atomic_load_explicit(&set->registrations[i].listener, memory_order_acquire) == wanted)
            return &set->registrations[i];
    return NULL;
}

/* Without room the listener is in the set too: its waiting is seen, and the library reports no
 * event by itself. */
static void put(struct epoll_set *set, const struct vlisten *listener, int fd, uint64_t data)
{
    for (int i = 0; i < EPOLL_SET_ROOM; i++) {
        struct registration *registration = &set->registrations[i];
        int free = 0;
        if (!atomic_compare_exchange_strong(&registration->listener, &free, -1))
            continue;
        atomic_store(&registration->fd, fd);
        atomic_store(&registration->data, data);
        atomic_store_explicit(&registration->listener, (int)vlisten_index(listener) + 1,
                              memory_order_release);
        return;
    }
}

static void take_out(struct epoll_set *set, const struct vlisten *listener)
{
    struct registration *registration = find(set, listener);

    atomic_fetch_and(&set->listeners, ~vlisten_bit(listener));
    if (registration)
        atomic_store(&registration->listener, 0);
}

/* EPOLL_SET_NONE: there is no room. */
static int create(int epoll_fd)
{
    for (int i = 0; i < EPOLL_SETS; i++) {
        int unused = 0;
        if (!atomic_compare_exchange_strong(&sets[i].fds, &unused, 1))
            continue;
        atomic_store(&sets[i].epoll_fd, epoll_fd);
        fdmap_set(epoll_fd, FDMAP_EPOLL, (unsigned)i);
        return i;
    }
    return EPOLL_SET_NONE;
}

int epoll_set_of(int epoll_fd)
{
    struct fdmap_entry entry = fdmap_get(epoll_fd);

    if (entry.kind != FDMAP_EPOLL)
        return EPOLL_SET_NONE;
    if (atomic_load_explicit(&sets[entry.index].epoll_fd, memory_order_relaxed) != epoll_fd)
        atomic_store(&sets[entry.index].epoll_fd, epoll_fd);
    return (int)entry.index;
}

uint64_t epoll_set_listeners(int set)
{
    if (set == EPOLL_SET_NONE)
        return 0;
    return atomic_load_explicit(&sets[set].listeners, memory_order_relaxed);
}

/* Only what a readable listener means everywhere can be reported: one-shot has a state in the
 * kernel. */
static bool can_be_reported(const struct epoll_event *event)
{
    return (event->events & EPOLLIN) && !(event->events & EPOLLONESHOT);
}

static void note(int epoll_fd, int operation, int fd, const struct epoll_event *event)
{
    struct vlisten *listener = vlisten_waited_for(fd);
    uint64_t bit = listener ? vlisten_bit(listener) : 0;

    if (!bit)
        return;
    int set = epoll_set_of(epoll_fd);
    atomic_store_explicit(&listener->fd, fd, memory_order_relaxed);
    wait_exclusive_end(listener);
    if (set != EPOLL_SET_NONE)
        take_out(&sets[set], listener);
    if (operation == EPOLL_CTL_DEL || !(event->events & EPOLLIN))
        return;
    if (set == EPOLL_SET_NONE && (set = create(epoll_fd)) == EPOLL_SET_NONE)
        return;
    atomic_fetch_or(&sets[set].listeners, bit);
    if (can_be_reported(event))
        put(&sets[set], listener, fd, event->data.u64);
}

/* What was registered last, of descriptors that are no accepted connections: for a bind(2) without
 * /proc. A cache: the kernel says whether it is still registered. */
#define RECENT 64 /* a power of two */
static struct {
    _Atomic uint64_t fds; /* the epoll fd above the other */
    _Atomic uint64_t data;
    _Atomic uint32_t events;
} recent[RECENT];
static _Atomic unsigned recent_count;

static void remember(int epoll_fd, int operation, int fd, const struct epoll_event *event)
{
    if (operation == EPOLL_CTL_DEL || fdmap_get(fd).kind == FDMAP_CONN)
        return;
    unsigned at = atomic_fetch_add(&recent_count, 1) % RECENT;
    atomic_store(&recent[at].fds, (uint64_t)(uint32_t)epoll_fd << 32 | (uint32_t)fd);
    atomic_store(&recent[at].data, event->data.u64);
    atomic_store(&recent[at].events, event->events);
}

/* The newest first: of those of one epoll fd the kernel then refuses the others. */
static void plan_by_memory(struct retarget_plan *plan, int fd)
{
    unsigned count = atomic_load(&recent_count);
    unsigned known = count < RECENT ? count : RECENT;

    for (unsigned i = 1; i <= known; i++) {
        unsigned at = (count - i) % RECENT;
        uint64_t fds = atomic_load(&recent[at].fds);
        struct retarget_registration *next = &plan->registrations[plan->registration_count];
        if ((int)(uint32_t)fds != fd)
            continue;
        next->epoll_fd = (int)(fds >> 32);
        next->fd = fd;
        next->event.events = atomic_load(&recent[at].events);
        next->event.data.u64 = atomic_load(&recent[at].data);
        plan->registration_count++;
    }
}

int epoll_set_control(int epoll_fd, int operation, int fd, struct epoll_event *event)
{
    int result = NEXT(epoll_ctl)(epoll_fd, operation, fd, event);

    if (result == 0 && env_managed())
        remember(epoll_fd, operation, fd, event);
    if (result == 0 && atomic_load_explicit(&vlisten_any, memory_order_relaxed))
        note(epoll_fd, operation, fd, event);
    return result;
}

/* Deletes them all, and forgets those that are not registered after all. */
static void delete_all(struct retarget_plan *plan)
{
    int deleted = 0;

    for (int i = 0; i < plan->registration_count; i++) {
        struct retarget_registration *registration = &plan->registrations[i];
        if (epoll_set_control(registration->epoll_fd, EPOLL_CTL_DEL, registration->fd,
                              &registration->event) == 0)
            plan->registrations[deleted++] = *registration;
    }
    plan->registration_count = deleted;
}

static void add_all(struct retarget_plan *plan)
{
    for (int i = 0; i < plan->registration_count; i++)
        epoll_set_control(plan->registrations[i].epoll_fd, EPOLL_CTL_ADD, plan->registrations[i].fd,
                          &plan->registrations[i].event);
}

int epoll_set_retarget(int fd, int new_fd, enum fdmap_kind kind, unsigned index)
{
    struct retarget_plan *plan = retarget_plan_create(fd);

    if (!plan)
        return -1;
    if (plan->is_blind)
        plan_by_memory(plan, fd);
    delete_all(plan);
    int result = retarget_replace(plan, new_fd) < 0 ? -1 : plan->fd_count;
    int saved = errno;
    for (int i = 0; kind != FDMAP_UNKNOWN && i < result; i++)
        fdmap_set(plan->fds[i], kind, index);
    add_all(plan);
    retarget_plan_destroy(plan);
    errno = saved;
    return result;
}

/* linux/kcmp.h, which musl-gcc does not find */
#define KCMP_EPOLL_TFD 7

struct kcmp_epoll_slot {
    uint32_t efd, tfd, toff;
};

enum kernel_answer { KERNEL_NO, KERNEL_YES, KERNEL_SILENT };

/* kcmp(2), since Linux 4.16: whether the file of fd is registered under that number. A sandbox may
 * forbid it. */
static enum kernel_answer ask_kernel(int epoll_fd, int fd)
{
    struct kcmp_epoll_slot slot = {.efd = (uint32_t)epoll_fd, .tfd = (uint32_t)fd};
    long self = getpid();
    int saved = errno;

    long result = NEXT(syscall)(SYS_kcmp, self, self, (long)KCMP_EPOLL_TFD, (long)fd, &slot);
    enum kernel_answer answer = result == 0                                       ? KERNEL_YES
                                : result < 0 && errno != ENOENT && errno != EBADF ? KERNEL_SILENT
                                                                                  : KERNEL_NO;
    errno = saved;
    return answer;
}

bool epoll_set_find(int set, const struct vlisten *listener, bool ask, struct epoll_event *event)
{
    if (set == EPOLL_SET_NONE)
        return false;
    const struct registration *registration = find(&sets[set], listener);
    if (!registration)
        return false;
    int fd = atomic_load_explicit(&registration->fd, memory_order_relaxed);
    uint64_t data = atomic_load_explicit(&registration->data, memory_order_relaxed);
    if (!vlisten_has_fd(listener, fd) || find(&sets[set], listener) != registration)
        return false;
    if (ask && ask_kernel(atomic_load(&sets[set].epoll_fd), fd) == KERNEL_NO)
        return false;
    *event = (struct epoll_event){.events = EPOLLIN, .data.u64 = data};
    return true;
}

bool epoll_set_learn(int epoll_fd, const struct vlisten *listener, int fd)
{
    uint64_t bit = vlisten_bit(listener);

    if (!bit || ask_kernel(epoll_fd, fd) != KERNEL_YES)
        return false;
    int set = epoll_set_of(epoll_fd);
    if (set == EPOLL_SET_NONE && (set = create(epoll_fd)) == EPOLL_SET_NONE)
        return false;
    atomic_fetch_or(&sets[set].listeners, bit);
    return true;
}

void epoll_set_add_fd(int set, int fd)
{
    atomic_fetch_add(&sets[set].fds, 1);
    fdmap_set(fd, FDMAP_EPOLL, (unsigned)set);
}

static void clear(struct epoll_set *set)
{
    atomic_store(&set->listeners, 0);
    for (int i = 0; i < EPOLL_SET_ROOM; i++)
        atomic_store(&set->registrations[i].listener, 0);
}

/* An exclusive wait is registered by a number that may be this one. */
void epoll_set_drop_fd(int set, int fd)
{
    int used = fd;

    for (uint64_t rest = epoll_set_listeners(set); rest; rest &= rest - 1)
        wait_exclusive_end(&vlisten_table[__builtin_ctzll(rest)]);
    atomic_compare_exchange_strong(&sets[set].epoll_fd, &used, -1);
    if (atomic_load(&sets[set].fds) == 1)
        clear(&sets[set]);
    atomic_fetch_sub(&sets[set].fds, 1);
}

void epoll_set_forget(const struct vlisten *listener)
{
    for (int i = 0; i < EPOLL_SETS; i++)
        if (atomic_load_explicit(&sets[i].fds, memory_order_relaxed) > 0)
            take_out(&sets[i], listener);
}

void epoll_set_remove(const struct vlisten *listener, int fd)
{
    int saved = errno;

    for (int i = 0; i < EPOLL_SETS; i++)
        if (epoll_set_listeners(i) & vlisten_bit(listener))
            NEXT(epoll_ctl)(atomic_load(&sets[i].epoll_fd), EPOLL_CTL_DEL, fd, NULL);
    errno = saved;
}
