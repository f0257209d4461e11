/* channel_queues.c - in which queues of its listener a channel is; see channel.h. */
#include "broker/pool/channel.h"
#include "broker/pool/listener.h"

/* Membership of a channel in one queue of its listener. */
#define DEFINE_MEMBERSHIP(queue)                                                                   \
    void channel_set_##queue(struct channel *channel, bool on)                                     \
    {                                                                                              \
        if (channel->on_##queue == on)                                                             \
            return;                                                                                \
        channel->on_##queue = on;                                                                  \
        if (on)                                                                                    \
            TAILQ_INSERT_TAIL(&channel->listener->queue, channel, queue);                          \
        else                                                                                       \
            TAILQ_REMOVE(&channel->listener->queue, channel, queue);                               \
    }

DEFINE_MEMBERSHIP(outstanding)
DEFINE_MEMBERSHIP(recallable)
DEFINE_MEMBERSHIP(woken)

void channel_leave_queues(struct channel *channel)
{
    channel_set_outstanding(channel, false);
    channel_set_recallable(channel, false);
    channel_set_woken(channel, false);
}

void channel_disown(struct channel *channel)
{
    channel_set_closed(channel);
    channel_leave_queues(channel);
    /* The counter of a dead worker may lag behind its accepts: ask the channel itself. */
    channel_set_recallable(channel, true);
}
