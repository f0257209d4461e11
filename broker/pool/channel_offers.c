/* channel_offers.c - what goes through a channel: sends offers, takes them back, counts what became
 * of them, and keeps the queues of its listener in which it is. See channel.h. */
#include <errno.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "broker/pool/channel.h"
#include "broker/pool/listener.h"
#include "proto/fdpass.h"

#define DIRECT_MAX                                                                                 \
    (UINT64_C(1) << 48) /* no worker takes more in a lifetime; larger numbers are noise */
#define WAITING_MAX                                                                                \
    4096 /* no server has more threads in accept than this; larger numbers are noise */

static void publish_sent(struct channel *channel)
{
    atomic_store(&channel->board->broker.sent, channel->sent - channel->recalled);
}

uint64_t channel_restart_counters(struct channel *channel)
{
    channel->sent = atomic_load(&channel->board->worker.taken);
    channel->recalled = 0;
    channel->written_off = 0;
    publish_sent(channel);
    return channel->sent;
}

/* Reads `taken` first, then `waiting`: a worker that takes lowers `waiting` before. */
struct channel_reading channel_read(const struct channel *channel)
{
    const struct board_worker *line = &channel->board->worker;
    uint64_t pending = channel->sent - channel->recalled;
    uint64_t taken = atomic_load(&line->taken);
    uint64_t direct = atomic_load(&line->direct);
    uint64_t closed = atomic_load(&line->closed);
    uint32_t waits = atomic_load(&line->waits);
    uint32_t waiting = atomic_load(&line->waiting);
    uint64_t motion = waits + taken + direct + closed;

    taken += channel->written_off;
    taken = taken < pending ? taken : pending;
    direct = direct <= DIRECT_MAX ? direct : 0;
    uint64_t accepted = taken + direct;
    return (struct channel_reading){
        .accepted = accepted,
        .active = closed < accepted ? accepted - closed : 0,
        .direct = direct,
        .motion = motion,
        .untaken = (uint32_t)(pending - taken),
        .waits = waits,
        .waiting = waiting <= WAITING_MAX ? waiting : 0,
        .wait_invisible = channel->belief.wait_invisible || waits == 0,
        .fds_low = (atomic_load(&line->flags) & BOARD_FDS_LOW) != 0,
    };
}

void channel_forget_program(struct channel *channel)
{
    struct board_worker *line = &channel->board->worker;

    atomic_store(&line->waiting, 0);
    atomic_fetch_and(&line->flags, ~(uint32_t)(BOARD_ANNOUNCED | BOARD_ACCEPTING));
    atomic_store(&line->closed, channel_read(channel).accepted);
}

uint32_t channel_untaken(const struct channel *channel)
{
    return channel_read(channel).untaken;
}

uint64_t channel_accepted(const struct channel *channel)
{
    return channel_read(channel).accepted;
}

bool channel_has_accepted_at_port(const struct channel *channel)
{
    return channel->listener->key.storage.ss_family != AF_UNIX && channel_accepted(channel) > 0;
}

uint64_t channel_active(const struct channel *channel)
{
    return channel_read(channel).active;
}

uint64_t channel_motion(const struct channel *channel)
{
    return channel_read(channel).motion;
}

void channel_settle(const struct channel *channel, struct journal_counts *counts)
{
    uint64_t net = channel->sent - channel->recalled;
    uint64_t taken = atomic_load(&channel->board->worker.taken);
    uint64_t lost = atomic_load(&channel->board->worker.lost);

    taken = taken < net ? taken : net;
    lost = lost < taken ? lost : taken;
    counts->taken += taken - lost;
    counts->lost += net - taken + lost;
    counts->direct += channel_read(channel).direct;
}

uint64_t channel_count_late(struct channel *channel, uint64_t at_most)
{
    uint64_t net = channel->sent - channel->recalled;
    uint64_t taken = atomic_load(&channel->board->worker.taken);
    uint64_t late = taken > net ? taken - net : 0;

    if (late > at_most)
        late = at_most;
    channel->sent += late;
    publish_sent(channel);
    return late;
}

/* A slow worker has now counted offers that we had written off. Shrink the write-off by as many, or
 * the same number of later offers would look accepted at once. */
static void write_off_less(struct channel *channel)
{
    uint64_t pending = channel->sent - channel->recalled;
    uint64_t taken = atomic_load(&channel->board->worker.taken);
    uint64_t missing = taken < pending ? pending - taken : 0;

    if (channel->written_off > missing)
        channel->written_off = missing;
}

int channel_send(struct channel *channel, const struct wire_offer *offer, int conn_fd,
                 uint64_t handed)
{
    if (channel->written_off > 0)
        write_off_less(channel);
    /* Counted before it is sent: a worker that sees one more sent than taken waits for it. */
    channel->sent++;
    publish_sent(channel);
    *journal_live.in_hand = (struct journal_in_hand){
        .channel = channel->id,
        .net = channel->sent - channel->recalled,
        .handed = handed,
    };
    atomic_store_explicit(journal_live.in_hand_fd, conn_fd, memory_order_release);
    int result = fdpass_send(channel->our_fd, offer, WIRE_OFFER_MIN + offer->addr_len, conn_fd,
                             MSG_DONTWAIT);
    if (result < 0) {
        channel->sent--;
        publish_sent(channel);
    }
    return result;
}

int channel_recall(struct channel *channel, struct wire_offer *offer)
{
    int conn_fd;
    ssize_t got = fdpass_recv(channel->their_fd, offer, sizeof *offer, &conn_fd,
                              MSG_DONTWAIT | MSG_CMSG_CLOEXEC, NULL);

    if (got <= 0 || conn_fd < 0)
        return -1;
    channel->recalled++;
    publish_sent(channel);
    return conn_fd;
}

void channel_set_recalling(struct channel *channel, bool on)
{
    atomic_store(&channel->board->broker.recalling, on);
}

bool channel_is_announced(const struct channel *channel)
{
    uint32_t flags = atomic_load(&channel->board->worker.flags);
    return (flags & (BOARD_ANNOUNCED | BOARD_ACCEPTING)) &&
           !(flags & (BOARD_NONBLOCK | BOARD_SHUT));
}

bool channel_is_empty(const struct channel *channel)
{
    int bytes = 0;
    return ioctl(channel->their_fd, SIOCINQ, &bytes) == 0 && bytes == 0;
}

void channel_write_off(struct channel *channel)
{
    channel->written_off += channel_untaken(channel);
}

/* --- queues --- */

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
