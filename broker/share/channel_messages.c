/* channel_messages.c - see channel_messages.h. Every byte is treated as hostile. */
#include "broker/share/channel_messages.h"

#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "broker/base/broker.h"
#include "broker/base/journal.h"
#include "broker/base/log.h"
#include "broker/handout/canonical/rate.h"
#include "broker/handout/dispatch.h"
#include "broker/handout/handout.h"
#include "broker/life/supervise/fleet.h"
#include "broker/pool/listener.h"
#include "broker/pool/worker.h"
#include "broker/share/retire.h"
#include "proto/wire.h"

#define MESSAGES_MAX 64 /* read before one question is answered */
#define MESSAGE_US 10   /* of our time, for one */

void channel_messages_on_listen(struct channel *channel, int backlog)
{
    char text[SOCKET_KEY_TEXT_MAX];
    struct worker *worker = channel->worker;
    bool lives = worker->state != WORKER_GONE;

    channel_set_listening(channel);
    channel_set_flag(channel, BOARD_NOTES, rate_is_noted(channel)); /* its library tells by now */
    rate_publish(channel->listener, channel);
    worker->has_listened = true;
    listener_set_backlog(channel->listener, backlog);
    log_debug("worker %u listens on %s", worker->slot,
              socket_key_format(&channel->listener->socket, &channel->listener->bound, text));
    /* Frees the channel if it was closed since, and with it a worker that is gone. */
    handout_start(channel->listener, channel);
    if (lives)
        fleet_on_listen(worker);
}

static void on_listen(struct channel *channel, const void *bytes)
{
    const struct wire_listen *message = bytes;

    channel_messages_on_listen(channel, message->backlog);
}

/* Its last process has closed it, but a program that inherited it may be on its way (execve), which
 * no holder counts. Without recall, end of file tells when nobody has it any more. */
static bool is_at_end(struct channel *channel)
{
    return board_has_worker_flag(channel->board, BOARD_SHUT) || !channel_let_go(channel);
}

/* Unless another process of the worker has attached to it since, or it was shut down for all. */
static void on_close(struct channel *channel, const void *bytes)
{
    (void)bytes;
    const struct board_worker *line = &channel->board->worker;
    struct listener *listener = channel->listener;

    if (atomic_load(&line->holders) > 0 && !board_has_worker_flag(channel->board, BOARD_SHUT))
        return;
    if (config_is_exact(&broker.config) && listener->channel_count == 1 && listener->listening &&
        is_at_end(channel))
        handout_stop(listener);
    retire_note_close(channel);
    worker_close_channel(channel);
}

static void on_notes(struct channel *channel, const void *bytes)
{
    (void)bytes;
    channel_read_notes(channel, false);
}

static void on_wake(struct channel *channel, const void *bytes)
{
    (void)bytes;
    dispatch_wake(channel);
}

enum state { GRANTED, LISTENING, CLOSED };

/* The messages that a worker may send in each state of the channel; all else is noise. PROTOCOL.md
 * has the same table. */
#define MESSAGES(X)                                                                                \
    X(GRANTED, LISTEN, on_listen)                                                                  \
    X(GRANTED, CLOSE, on_close)                                                                    \
    X(LISTENING, WAKE, on_wake)                                                                    \
    X(LISTENING, NOTES, on_notes)                                                                  \
    X(LISTENING, LISTEN, on_listen)                                                                \
    X(LISTENING, CLOSE, on_close)                                                                  \
    X(CLOSED, NOTES, on_notes)                                                                     \
    X(CLOSED, LISTEN, on_listen) /* it was on its way when the worker ended */

static const struct row {
    enum state state;
    enum wire_type type;
    void (*on_message)(struct channel *channel, const void *bytes);
} rows[] = {
#define X(state, type, on_message) {state, WIRE_##type, on_message},
    MESSAGES(X)
#undef X
};

static void handle(struct channel *channel, const void *bytes, int type)
{
    enum state state = channel->closed ? CLOSED : channel->listening ? LISTENING : GRANTED;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].state == state && (int)rows[i].type == type) {
            rows[i].on_message(channel, bytes); /* may free the channel */
            return;
        }
    }
}

/* The worker shut it down, so its offers go to others; or all processes have closed it; or it sends
 * descriptors, for which no worker has a reason. */
static void on_end_of_file(struct channel *channel)
{
    budget_leave(&channel->waits);
    loop_remove(&channel->watch); /* or its hang-up would be reported for ever */
    channel->watch.fd = -1;
    if (channel->their_fd < 0 && channel->closed)
        worker_on_channel_drained(channel);
    else
        worker_close_channel(channel);
}

static void read_one(struct channel *channel)
{
    union {
        struct wire_head head;
        struct wire_listen listen;
    } message;
    struct iovec part = {.iov_base = &message, .iov_len = sizeof message};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};

    int brings_fds = channel_peek_fds(channel);
    if (brings_fds > 0)
        on_end_of_file(channel);
    if (brings_fds)
        return;
    ssize_t got = recvmsg(channel->watch.fd, &header, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got == 0) {
        on_end_of_file(channel);
        return;
    }
    bool is_whole = got > 0 && !(header.msg_flags & MSG_TRUNC);
    if (is_whole)
        handle(channel, &message, wire_check(&message, (size_t)got, false));
}

/* What gives a connection to a worker is our own work. */
static void on_channel_ready(struct loop_fd *watch, uint32_t events)
{
    struct channel *channel = loop_container(watch, struct channel, watch);
    struct budget *budget = &channel->worker->budget;
    const struct journal_counts *counts = channel->listener->counts;
    uint64_t handed = counts->handed;

    if (!(events & EPOLLHUP) && budget_is_spent(budget)) {
        budget_wait(budget, &channel->waits, watch);
        return;
    }
    budget_begin(budget);
    read_one(channel); /* may free the channel, its worker and its listener */
    budget_end(counts->handed == handed ? MESSAGE_US : 0);
}

static struct channel *find_with_mail(struct worker *worker)
{
    struct channel *channel;

    LIST_FOREACH(channel, &worker->channels, of_worker) {
        struct pollfd state = {.fd = channel->watch.fd, .events = POLLIN};
        if (poll(&state, 1, 0) == 1)
            return channel;
    }
    return NULL;
}

/* From the start each time: a message may free any of them. */
void channel_messages_resume(struct worker *worker)
{
    struct channel *channel = LIST_FIRST(&worker->channels);

    while (channel) {
        struct channel *next = LIST_NEXT(channel, of_worker);
        if (!channel->listening && !channel->closed &&
            board_has_worker_flag(channel->board, BOARD_LISTENING))
            channel_messages_on_listen(channel, channel->listener->backlog);
        channel = next;
    }
}

void channel_messages_read_waiting(struct worker *worker)
{
    struct channel *channel;

    for (int budget = MESSAGES_MAX; budget > 0 && worker->state != WORKER_GONE; budget--) {
        if (!(channel = find_with_mail(worker)))
            return;
        read_one(channel);
    }
}

int channel_messages_watch(struct channel *channel)
{
    channel->watch = (struct loop_fd){channel->our_fd, on_channel_ready};
    if (loop_add(&channel->watch, EPOLLIN) < 0) {
        channel->watch.fd = -1;
        return -1;
    }
    listener_add_channel(channel->listener, channel);
    listener_set_missed(channel->listener, channel->worker->slot, false);
    LIST_INSERT_HEAD(&channel->worker->channels, channel, of_worker);
    return 0;
}
