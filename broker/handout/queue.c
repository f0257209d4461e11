/* queue.c - see queue.h. */
#include "broker/handout/queue.h"

#include <stdatomic.h>
#include <string.h>

#include "broker/base/broker.h"
#include "broker/base/log.h"
#include "broker/handout/canonical/listener_poll.h"
#include "broker/handout/canonical/rate.h"
#include "broker/handout/front/front.h"
#include "broker/handout/watchdog.h"

#define PAUSE_MS 20               /* when the system is short of something */
#define REST_DOUBLINGS 8          /* PAUSE_MS so often doubled: 5 s */
#define SHORTAGE_SILENCE_MS 60000 /* between two messages about that */
#define TICK_MAX_MS 100           /* between looks at a pool that does not move */

/* Workers may take from the backlog themselves only while it is all that waits. */
static enum board_queue queue_value(const struct listener *listener)
{
    bool in_our_care = listener->take.holds || !TAILQ_EMPTY(&listener->recallable);

    return rate_permits_direct(listener) && !in_our_care ? BOARD_BACKLOG : BOARD_ASK;
}

static void publish(struct channel *channel, enum board_queue value)
{
    channel_set_queue(channel,
                      value == BOARD_BACKLOG && rate_is_unseen(channel) ? BOARD_ASK : value);
}

void queue_reread(struct listener *listener)
{
    listener->queue.published = BOARD_QUEUE_EMPTY;
}

void queue_begin(struct listener *listener)
{
    enum board_queue value = queue_value(listener);
    struct channel *channel;
    bool is_new = !listener->queue.waits;

    listener->queue.waits = true;
    if (is_new) {
        listener->queue.begun++;
        listener->queue.waits_since_ms = loop_now_ms();
        listener->queue.tick_ms = broker.config.accept_timeout_ms;
        listener->queue.seen_progress = 0;
        loop_start_timer(&listener->queue.tick, listener->queue.tick_ms);
        listener_poll_expect(listener);
        watchdog_poke();
    }
    if (is_new || listener->front.is_on)
        listener_poll_arm(listener, front_has_room(listener));
    if (is_new || listener->queue.published != value)
        for (uint32_t i = 0; i < listener->channel_count; i++)
            publish(listener->channels[i], value);
    listener->queue.published = value;
    while ((channel = TAILQ_FIRST(&listener->woken)) != NULL) {
        channel_set_woken(channel, false);
        publish(channel, value);
    }
    atomic_thread_fence(memory_order_seq_cst);
}

void queue_end(struct listener *listener)
{
    if (listener->queue.waits) {
        listener->queue.waits = false;
        listener->queue.waited_ms += loop_now_ms() - listener->queue.waits_since_ms;
        loop_stop_timer(&listener->queue.tick);
        for (uint32_t i = 0; i < listener->channel_count; i++)
            channel_set_queue(listener->channels[i], BOARD_QUEUE_EMPTY);
    }
    while (!TAILQ_EMPTY(&listener->woken))
        channel_set_woken(TAILQ_FIRST(&listener->woken), false);
    listener_poll_arm(listener, true);
}

/* --- short of something --- */

void queue_pause(struct listener *listener, const char *what, int error)
{
    int64_t now_ms = loop_now_ms();

    if (!listener->queue.shortage_told_ms ||
        now_ms - listener->queue.shortage_told_ms >= SHORTAGE_SILENCE_MS) {
        log_error("cannot %s a connection: %s; no connection is lost; raise that limit", what,
                  strerror(error));
        listener->queue.shortage_told_ms = now_ms;
    }
    listener_poll_arm(listener, false);
    loop_start_timer(&listener->queue.pause, PAUSE_MS);
}

void queue_rest(struct listener *listener)
{
    unsigned doublings =
        listener->take.sleeps < REST_DOUBLINGS ? listener->take.sleeps : REST_DOUBLINGS;

    listener_poll_arm(listener, false);
    loop_start_timer(&listener->queue.pause, PAUSE_MS << doublings);
}

static void on_pause_over(struct loop_timer *timer)
{
    struct listener *listener = loop_container(timer, struct listener, queue.pause);

    if (!listener->queue.waits)
        listener_poll_arm(listener, true);
    listener_pump(listener);
}

/* --- looks at those that wait --- */

void queue_look_within(struct listener *listener, int64_t delay_ms)
{
    if (listener->queue.tick.at_ms > loop_now_ms() + delay_ms)
        loop_start_timer(&listener->queue.tick, delay_ms);
}

uint64_t queue_progress(const struct listener *listener)
{
    uint64_t sum = 1;

    for (uint32_t i = 0; i < listener->channel_count; i++)
        sum += channel_accepted(listener->channels[i]);
    return sum;
}

bool queue_has_moved(const struct listener *listener, uint64_t progress)
{
    return progress != listener->queue.seen_progress;
}

void queue_look_again(struct listener *listener, uint64_t progress)
{
    unsigned longer_ms = listener->queue.tick_ms * 2;

    if (queue_has_moved(listener, progress))
        listener->queue.tick_ms = broker.config.accept_timeout_ms;
    else
        listener->queue.tick_ms = longer_ms < TICK_MAX_MS ? longer_ms : TICK_MAX_MS;
    listener->queue.seen_progress = progress;
    if (listener->queue.waits)
        loop_start_timer(&listener->queue.tick, listener->queue.tick_ms);
}

/* --- life --- */

void queue_init(struct listener *listener, void (*on_tick)(struct loop_timer *tick))
{
    listener->queue.tick.on_time = on_tick;
    listener->queue.pause.on_time = on_pause_over;
}

void queue_finish(struct listener *listener)
{
    loop_stop_timer(&listener->queue.tick);
    loop_stop_timer(&listener->queue.pause);
}
