/* polling.c - see polling.h. */
#include "shim/take/polling.h"

#include <string.h>

#include "shim/base/fdmap.h"
#include "shim/base/userptr.h"
#include "shim/record/vlisten.h"
#include "shim/take/announce.h"
#include "shim/take/turn.h"
#include "shim/take/wait.h"

static uint64_t listener_bit(int fd)
{
    struct vlisten *listener = vlisten_waited_for(fd);

    if (!listener)
        return 0;
    atomic_store_explicit(&listener->fd, fd, memory_order_relaxed);
    return vlisten_bit(listener);
}

static int64_t timeout_ns_of(const struct waiting *waiting)
{
    switch (waiting->unit) {
    case IN_MS: return rounds_ns_of_ms(waiting->timeout_ms);
    case IN_TIMESPEC: return rounds_ns_of(waiting->timeout);
    case IN_TIMEVAL: return rounds_ns_of_timeval(waiting->timeval);
    }
    return 0;
}

/* A call that returns at once is no wait. */
static bool has_time(const struct waiting *waiting)
{
    switch (waiting->unit) {
    case IN_MS: return waiting->timeout_ms != 0;
    case IN_TIMESPEC: return wait_has_time(waiting->timeout);
    /* a timeval and a timespec are two longs each; only whether they are 0 is asked */
    case IN_TIMEVAL: return wait_has_time((const struct timespec *)(void *)waiting->timeval);
    }
    return false;
}

/* check takes out of `ready`, what the call gave, what is not there any more: a wait with nothing
 * else goes on. The call itself may write into its time-out what is left of that. */
static int wait_in_rounds(struct waiting *waiting, int (*check)(struct waiting *waiting, int ready))
{
    int ready;

    do {
        if (waiting->may_block)
            wait_begin(waiting->listeners);
        ready = waiting->call(waiting);
        if (waiting->may_block)
            wait_end();
        if (ready == 0)
            announce_withdraw_all(waiting->listeners);
    } while (ready > 0 && announce_concerns(waiting->listeners) &&
             (ready = check(waiting, ready)) == 0 &&
             (ready = rounds_begin(&waiting->rounds, timeout_ns_of(waiting), waiting->mask)) > 0);
    return ready;
}

/* A signal mask is the kernel's business: it may let a pending signal in. */
static bool may_take_turn(const struct waiting *waiting)
{
    return waiting->may_block && !waiting->mask;
}

/* --- poll --- */

uint64_t polling_mask_poll(const struct pollfd *fds, nfds_t count)
{
    uint64_t mask = 0;

    if (count > FDMAP_SIZE || !userptr_is_writable(fds, count * sizeof *fds, USERPTR_WAIT))
        return 0;
    for (nfds_t i = 0; i < count; i++)
        if (fds[i].events & POLLIN)
            mask |= listener_bit(fds[i].fd);
    return mask;
}

/* Before there is any listener; see announce_by_unseen(). */
static int note_polled(const struct pollfd *fds, nfds_t count, int ready)
{
    uint64_t ready_fds = 0;

    for (nfds_t i = 0; ready > 0 && i < count; i++)
        if (fds[i].revents & POLLIN)
            ready_fds |= UINT64_C(1) << (fds[i].fd & 63);
    announce_note_unseen(ready_fds);
    return ready;
}

static int check_polled(struct waiting *waiting, int ready)
{
    const struct polling *polling = (struct polling *)waiting;

    return announce_check_poll(polling->fds, polling->count, ready);
}

int polling_poll(struct polling *polling)
{
    struct waiting *waiting = &polling->waiting;
    int ready;

    if (!wait_matters())
        return note_polled(polling->fds, polling->count, waiting->call(waiting));
    waiting->may_block = has_time(waiting);
    waiting->listeners = polling_mask_poll(polling->fds, polling->count);
    if (!waiting->listeners)
        return waiting->call(waiting);
    if (may_take_turn(waiting) &&
        (ready = turn_poll(waiting->listeners, polling->fds, polling->count)) != 0)
        return ready;
    return wait_in_rounds(waiting, check_polled);
}

/* --- select --- */

/* What select was asked: it writes its answer over the question. */
struct question {
    fd_set readable, writable, urgent;
    bool known; /* all of it */
};

/* A select with its question. */
struct asking {
    struct selecting selecting; /* comes first */
    struct question question;
    int (*call)(struct waiting *waiting);
};

uint64_t polling_mask_select(int count, const fd_set *readable)
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

static int note_selected(int count, const fd_set *readable, int ready)
{
    uint64_t ready_fds = 0;

    for (int fd = 0; ready > 0 && readable && fd < count && fd < FD_SETSIZE; fd++)
        if (FD_ISSET(fd, readable))
            ready_fds |= UINT64_C(1) << (fd & 63);
    announce_note_unseen(ready_fds);
    return ready;
}

static bool is_set(const fd_set *set, int count)
{
    return !set || userptr_is_writable(set, turn_set_size(count), USERPTR_WAIT);
}

static void copy_set(fd_set *to, const fd_set *from, int count)
{
    if (from && to)
        memcpy(to, from, turn_set_size(count));
}

/* A set that is not there is the kernel's to refuse. */
static void note_question(struct question *question, const struct selecting *asked)
{
    int count = asked->count;

    question->known = count > 0 && count <= FD_SETSIZE && is_set(asked->readable, count) &&
                      is_set(asked->writable, count) && is_set(asked->urgent, count);
    if (!question->known)
        return;
    copy_set(&question->readable, asked->readable, count);
    copy_set(&question->writable, asked->writable, count);
    copy_set(&question->urgent, asked->urgent, count);
}

/* From the second round on the question is asked again. */
static int call_again(struct waiting *waiting)
{
    struct asking *asking = (struct asking *)waiting;
    const struct selecting *s = &asking->selecting;

    if (waiting->rounds.count > 0) {
        copy_set(s->readable, &asking->question.readable, s->count);
        copy_set(s->writable, &asking->question.writable, s->count);
        copy_set(s->urgent, &asking->question.urgent, s->count);
    }
    return asking->call(waiting);
}

static int check_selected(struct waiting *waiting, int ready)
{
    struct asking *asking = (struct asking *)waiting;
    const struct selecting *s = &asking->selecting;

    return announce_check_select(s->count < FD_SETSIZE ? s->count : FD_SETSIZE,
                                 asking->question.known ? &asking->question.readable : NULL,
                                 s->readable, ready);
}

static int select_in_rounds(const struct selecting *selecting)
{
    struct asking asking;
    struct selecting *s = &asking.selecting;
    int ready;

    *s = *selecting;
    note_question(&asking.question, s);
    if (may_take_turn(&s->waiting) && asking.question.known &&
        (ready =
             turn_select(s->waiting.listeners, s->count, s->readable, s->writable, s->urgent)) != 0)
        return ready;
    asking.call = s->waiting.call;
    s->waiting.call = call_again;
    return wait_in_rounds(&s->waiting, check_selected);
}

int polling_select(struct selecting *s)
{
    struct waiting *waiting = &s->waiting;

    if (!wait_matters())
        return note_selected(s->count, s->readable, waiting->call(waiting));
    waiting->may_block = has_time(waiting);
    waiting->listeners = polling_mask_select(s->count, s->readable);
    return waiting->listeners ? select_in_rounds(s) : waiting->call(waiting);
}
