/* handout.c - see handout.h. */
#include "broker/handout/handout.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/base/broker.h"
#include "broker/handout/canonical/listener_poll.h"
#include "broker/handout/canonical/rate.h"
#include "broker/handout/canonical/revive.h"
#include "broker/handout/dispatch.h"
#include "broker/handout/front/front.h"
#include "broker/handout/front/stages.h"
#include "broker/handout/pick.h"
#include "broker/handout/queue.h"
#include "broker/handout/recall.h"
#include "broker/handout/take.h"

void handout_init(struct listener *listener)
{
    queue_init(listener, dispatch_on_tick);
    pick_init(listener);
    front_init(listener);
    recall_init(listener);
    listener_poll_init(listener, dispatch_on_ready);
    if (front_opens_early(listener))
        listener_poll_arm(listener, true);
}

void handout_finish(struct listener *listener)
{
    listener_poll_finish(listener);
    revive_finish(listener);
    queue_finish(listener);
    recall_finish(listener);
    rate_forget(listener);
    take_finish(listener);
    stages_finish(listener);
    if (listener->stored && !listener->inherited && !listener->shut)
        shutdown(listener->canonical_fd, SHUT_RDWR); /* the address is free at once */
}

void handout_start(struct listener *listener, struct channel *channel)
{
    listener_set_listening(listener, true);
    pick_init(listener); /* the zone of its address is known by now */
    if (runtime.intercept == INTERCEPT_SECCOMP)
        listener_poll_arm(listener, true);
    if (runtime.handoff == HANDOFF_DIRECT)
        return;
    if (listener->queue.waits)
        channel_set_woken(channel, true);
    else if (!loop_timer_runs(&listener->queue.pause))
        listener_poll_arm(listener, true);
    dispatch_pump(listener);
}

void handout_stop(struct listener *listener)
{
    listener_poll_end(listener); /* or its hang-up would be reported for ever */
    listener_set_listening(listener, false);
    take_finish(listener);
    stages_finish(listener);
    if (!listener->inherited)
        shutdown(listener->canonical_fd, SHUT_RD);
}

/* As natively: it listens until the last of the workers, which have it themselves, closes it. The
 * number stays taken. */
static void let_go(struct listener *listener)
{
    int other_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    listener_poll_end(listener);
    listener_set_shut(listener);
    if (other_fd < 0)
        return;
    dup3(other_fd, listener->canonical_fd, O_CLOEXEC);
    close(other_fd);
}

void handout_shut(struct listener *listener)
{
    if (!listener->listening || listener->shut)
        return;
    if (runtime.intercept == INTERCEPT_SECCOMP) {
        let_go(listener);
        return;
    }
    dispatch_pump(listener);
    listener_poll_end(listener); /* or its hang-up would be reported for ever */
    listener_set_shut(listener);
    stages_finish(listener);
    if (!listener->inherited && !listener->stored) /* else a new client waits for the next broker */
        shutdown(listener->canonical_fd, SHUT_RDWR);
}

int handout_enforce(void)
{
    struct listener *listener;

    if (front_enforce() < 0)
        return -1;
    TAILQ_FOREACH(listener, &listeners, all) {
        listener_poll_reread(listener);
        queue_reread(listener);
    }
    listener_pump_all();
    return 0;
}

void handout_find_leaders(void)
{
    struct listener *listener;

    TAILQ_FOREACH(listener, &listeners, all) {
        pick_init(listener);
        rate_publish_all(listener);
    }
    listener_pump_all();
}
