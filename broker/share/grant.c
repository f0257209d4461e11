/* grant.c - see grant.h. */
#include "broker/share/grant.h"

#include <errno.h>
#include <sys/resource.h>
#include <unistd.h>

#include "broker/base/broker.h"
#include "broker/base/log.h"
#include "broker/handout/front/front.h"
#include "broker/handout/front/proxied.h"
#include "broker/handout/canonical/rate.h"
#include "broker/pool/closer.h"
#include "broker/pool/listener.h"
#include "broker/pool/worker.h"
#include "broker/share/channel_messages.h"

#define MARKS (BOARD_DIRECT | BOARD_EXACT | BOARD_SHARE_LATE | BOARD_DRAINING | BOARD_NOTES)

bool grant_answer(struct session *session, enum wire_verdict verdict, int error)
{
    struct wire_grant grant = {.head = WIRE_HEAD(WIRE_GRANT), .verdict = verdict, .error = error};

    if (verdict == WIRE_PRIVATE) /* the program binds it, and a copy would keep the address */
        return session_send_settled(session, &grant);
    session_send(session, &grant, sizeof grant, -1);
    return verdict == WIRE_VACANT;
}

static bool send_with_fd(struct session *session, enum wire_type type, int fd)
{
    struct wire_head head = WIRE_HEAD(type);

    return session_send(session, &head, sizeof head, fd);
}

bool grant_send(struct session *session, const struct channel *channel, int worker_fd)
{
    struct wire_grant grant = {
        .head = WIRE_HEAD(WIRE_GRANT),
        .verdict = WIRE_SHARED,
        .channel = channel->id,
        .backlog = (uint32_t)broker.config.backlog,
        .flags = front_flags(),
    };

    return session_send(session, &grant, sizeof grant, worker_fd) &&
           send_with_fd(session, WIRE_SHADOW, channel->listener->canonical_fd) &&
           send_with_fd(session, WIRE_BOARD, channel->board_fd);
}

void grant_send_proxied(struct session *session)
{
    if (proxied_reader_fd() >= 0)
        send_with_fd(session, WIRE_BOARD, proxied_reader_fd());
}

/* All flags in one store: if BOARD_DIRECT is missing for an instant while we resume, a worker that
 * accepts by itself looks for a new broker. */
void grant_mark(struct channel *channel)
{
    const struct config *config = &broker.config;
    uint32_t flags = 0;

    flags |= runtime.handoff == HANDOFF_DIRECT ? BOARD_DIRECT : 0;
    flags |= config_is_exact(config) ? BOARD_EXACT : 0;
    flags |= config->share.count > 0 || config->port.count > 0 || config->unshared_has_each
                 ? BOARD_SHARE_LATE
                 : 0;
    flags |= rate_is_noted(channel) ? BOARD_NOTES : 0;
    flags |= worker_is_shut_out(channel->worker) ? BOARD_DRAINING : 0;
    channel_set_flags(channel, MARKS, flags);
}

/* Logged once: the next worker would fail in the same way. */
static void tell_shortage(const struct worker *worker)
{
    static bool told;
    struct rlimit limit = {0};

    if (told)
        return;
    told = true;
    getrlimit(RLIMIT_NOFILE, &limit);
    log_error("cannot share an address with worker %u: the broker may have no more than %llu files "
              "open; raise the limit (ulimit -n; systemd: LimitNOFILE): it needs three for each "
              "worker and address",
              worker->slot, (unsigned long long)limit.rlim_cur);
}

struct channel *grant_open(struct listener *listener, struct worker *worker, pid_t asker,
                           int *worker_fd)
{
    struct channel *channel = NULL;

    if (worker_count_channels(worker) < WORKER_CHANNELS_MAX)
        channel = channel_create(listener, worker, worker_fd);
    if (channel && channel_messages_watch(channel) < 0) {
        close(*worker_fd);
        channel_destroy(channel);
        channel = NULL;
    }
    if (!channel) {
        if (errno == EMFILE || errno == ENFILE)
            tell_shortage(worker);
        listener_retire_if_unused(listener); /* it may have been made for this */
        return NULL;
    }
    channel->grant.claimant = asker;
    channel->grant.granted_ms = loop_now_ms();
    grant_mark(channel);
    return channel;
}

bool grant_channel(struct session *session, struct listener *listener, struct worker *worker)
{
    int worker_fd;
    struct channel *channel = grant_open(listener, worker, session->peer.pid, &worker_fd);

    if (!channel)
        return grant_answer(session, WIRE_FAILED, ENOMEM);
    rate_publish(listener, channel);
    bool keeps_other = false;
    if (!grant_send(session, channel, worker_fd))
        worker_close_channel(channel);
    else if (config_is_exact(&broker.config))
        channel_stop_recall(channel); /* no other worker could take a recalled offer */
    else
        keeps_other = true;
    if (keeps_other)
        close(worker_fd);
    else
        closer_give(worker_fd);
    listener_retire_now(NULL); /* the worker lives on here: what it has closed is not missed */
    return false;
}
