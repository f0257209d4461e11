/* listener_poll.c - see listener_poll.h. */
#include "broker/handout/canonical/listener_poll.h"

#include <poll.h>
#include <stdatomic.h>
#include <sys/epoll.h>

#include "broker/base/broker.h"
#include "broker/handout/canonical/rate.h"

#define RETRY_MS 20   /* when the kernel has no room for one more watch */
#define LOOKOUT_MS 10 /* for connections that a woken exclusive waiter did not take */

/* Exclusive: the kernel wakes us only if no exclusive waiter is in its wait. */
static bool add_watch(struct listener *listener)
{
    listener->poll.exclusive = listener->poll.high_rate;
    if (listener->poll.high_rate && loop_add(&listener->poll.watch, EPOLLIN | EPOLLEXCLUSIVE) == 0)
        return true;
    listener->poll.exclusive = false;
    return loop_add(&listener->poll.watch, EPOLLIN) == 0;
}

/* Reports only a shutdown by a worker. An AF_UNIX socket could not be made to listen again. */
static void watch_shutdown(struct listener *listener)
{
    if (listener->bound.storage.ss_family != AF_UNIX && !listener->poll.watched)
        listener->poll.watched = loop_add(&listener->poll.watch, 0) == 0;
}

/* Not before a worker listens: a socket that is only bound polls EPOLLHUP, which cannot be masked.
 */
void listener_poll_arm(struct listener *listener, bool on)
{
    if (listener->shut || loop_timer_runs(&listener->revive.timer))
        return;
    if (runtime.handoff == HANDOFF_DIRECT) {
        watch_shutdown(listener);
        return;
    }
    if (listener->poll.armed == on)
        return;
    if (listener->poll.watched && listener->poll.exclusive) {
        loop_remove(
            &listener->poll.watch); /* epoll_ctl(2): an exclusive registration cannot be modified */
        listener->poll.watched = false;
    } else if (listener->poll.watched) {
        loop_modify(&listener->poll.watch, on ? EPOLLIN : 0);
    } else if (on && !add_watch(listener)) {
        loop_start_timer(&listener->queue.pause, RETRY_MS);
        return;
    }
    listener->poll.watched |= on;
    listener->poll.armed = on;
}

void listener_poll_end(struct listener *listener)
{
    if (listener->poll.watched)
        loop_remove(&listener->poll.watch);
    listener->poll.watched = false;
    listener->poll.armed = false;
}

/* Behind all exclusive waiters: the kernel wakes in the order of registration. */
static void listener_poll_anew(struct listener *listener)
{
    bool armed = listener->poll.armed;

    listener_poll_end(listener);
    listener_poll_arm(listener, armed);
}

static void set_high_rate(struct listener *listener, bool is_high)
{
    if (listener->poll.high_rate == is_high)
        return;
    listener->poll.high_rate = is_high;
    rate_publish_all(listener);
    listener_poll_anew(listener);
}

void listener_poll_reread(struct listener *listener)
{
    rate_publish_all(listener);
    if (!rate_permits_direct(listener))
        set_high_rate(listener, false);
}

/* Idle event loops may wait exclusively while connections come fast. Looks again until they come
 * slowly. */
static void review(struct listener *listener)
{
    bool is_high = rate_review(listener);

    set_high_rate(listener, is_high);
    if (is_high)
        loop_start_timer(&listener->poll.lookout, LOOKOUT_MS);
    else if (!rate_is_low(listener))
        loop_start_timer(&listener->poll.lookout, RATE_PERIOD_MS);
}

void listener_poll_expect(struct listener *listener)
{
    if (!loop_timer_runs(&listener->poll.lookout))
        review(listener);
}

/* It has begun an exclusive wait since the last time that we had an offer for it. */
void listener_poll_note_exclusive(struct listener *listener, struct channel *channel)
{
    uint32_t exclusive_waits =
        atomic_load_explicit(&channel->board->worker.exclusive_waits, memory_order_relaxed);

    if (exclusive_waits == channel->seen_exclusive)
        return;
    channel->seen_exclusive = exclusive_waits;
    if (listener->poll.armed)
        listener_poll_anew(listener);
}

static void on_lookout(struct loop_timer *timer)
{
    struct listener *listener = loop_container(timer, struct listener, poll.lookout);
    struct pollfd canonical = {.fd = listener->canonical_fd, .events = POLLIN};

    review(listener);
    if (listener->poll.high_rate && listener->poll.armed && poll(&canonical, 1, 0) == 1)
        listener_pump(listener);
}

void listener_poll_finish(struct listener *listener)
{
    listener_poll_end(listener);
    loop_stop_timer(&listener->poll.lookout);
}

void listener_poll_init(struct listener *listener,
                        void (*on_ready)(struct loop_fd *watch, uint32_t events))
{
    listener->poll.watch = (struct loop_fd){listener->canonical_fd, on_ready};
    listener->poll.lookout.on_time = on_lookout;
}
