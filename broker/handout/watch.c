/* watch.c - see watch.h. */
#include "broker/handout/watch.h"

#include <poll.h>
#include <stdatomic.h>
#include <sys/epoll.h>

#include "broker/handout/pace.h"

#define RETRY_MS 20   /* when the kernel has no room for one more watch */
#define LOOKOUT_MS 10 /* for what an attending worker was woken for and did not take */

/* Exclusive: the kernel wakes us only if no worker that attends is in its wait. */
static bool add_watch(struct listener *listener)
{
    listener->exclusive = listener->brisk;
    if (listener->brisk && loop_add(&listener->watch, EPOLLIN | EPOLLEXCLUSIVE) == 0)
        return true;
    listener->exclusive = false;
    return loop_add(&listener->watch, EPOLLIN) == 0;
}

/* Not before somebody listens: a socket that is only bound polls EPOLLHUP, which cannot be masked.
 */
void watch_arm(struct listener *listener, bool on)
{
    if (listener->shut || loop_timer_runs(&listener->revive) || listener->armed == on)
        return;
    if (listener->watched && listener->exclusive) {
        loop_remove(&listener->watch); /* epoll_ctl(2): such a one cannot be modified */
        listener->watched = false;
    } else if (listener->watched) {
        loop_modify(&listener->watch, on ? EPOLLIN : 0);
    } else if (on && !add_watch(listener)) {
        loop_start_timer(&listener->pause, RETRY_MS);
        return;
    }
    listener->watched |= on;
    listener->armed = on;
}

void watch_end(struct listener *listener)
{
    if (listener->watched)
        loop_remove(&listener->watch);
    listener->watched = false;
    listener->armed = false;
}

/* Behind all that attend by now: the kernel asks in the order of registration. */
static void watch_anew(struct listener *listener)
{
    bool armed = listener->armed;

    watch_end(listener);
    watch_arm(listener, armed);
}

/* Connections come fast, or no longer. */
void watch_set_brisk(struct listener *listener, bool on)
{
    if (listener->brisk == on)
        return;
    listener->brisk = on;
    pace_publish_all(listener);
    watch_anew(listener);
    if (on)
        loop_start_timer(&listener->lookout, LOOKOUT_MS);
    else
        loop_stop_timer(&listener->lookout);
}

/* It attends since the last time that we had something for it. */
void watch_note_attends(struct listener *listener, struct channel *channel)
{
    uint32_t attends = atomic_load_explicit(&channel->board->worker.attends, memory_order_relaxed);

    if (attends == channel->seen_attends)
        return;
    channel->seen_attends = attends;
    if (listener->exclusive && listener->armed)
        watch_anew(listener);
}

static void on_lookout(struct loop_timer *timer)
{
    struct listener *listener = loop_container(timer, struct listener, lookout);
    struct pollfd canonical = {.fd = listener->canonical_fd, .events = POLLIN};

    watch_set_brisk(listener, pace_review(listener));
    if (!listener->brisk)
        return;
    loop_start_timer(timer, LOOKOUT_MS);
    if (listener->armed && poll(&canonical, 1, 0) == 1)
        listener_pump(listener);
}

void watch_init(struct listener *listener)
{
    listener->watch.fd = listener->canonical_fd;
    listener->lookout.on_time = on_lookout;
}
