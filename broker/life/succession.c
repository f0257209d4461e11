/* succession.c - see succession.h. */
#include "broker/life/succession.h"

#include <stdatomic.h>
#include <stdio.h>

#include "broker/base/broker.h"
#include "broker/life/begin/readiness.h"
#include "broker/pool/listener.h"

enum kind { KIND_IP, KIND_UNIX, KINDS };

static bool is_open(const struct channel *channel)
{
    return channel->listening && !channel->closed;
}

static bool listens_at_all(const struct worker *worker)
{
    const struct channel *channel;

    LIST_FOREACH(channel, &worker->channels, of_worker)
        if (is_open(channel))
            return true;
    return false;
}

static const struct channel *find_open(const struct worker *worker, const struct listener *listener)
{
    const struct channel *channel = worker_find_channel(worker, listener);

    return channel && is_open(channel) ? channel : NULL;
}

/* A server that waits invisibly is never seen to wait; then the old copy is not either, and both
 * are alike. Under --handoff direct no wait is reported. */
static bool has_come_to_wait(const struct channel *channel)
{
    return runtime.handoff == HANDOFF_DIRECT || channel_accepted(channel) > 0 ||
           atomic_load_explicit(&channel->board->worker.waits, memory_order_relaxed) > 0;
}

static enum kind kind_of(const struct channel *channel)
{
    return channel->listener->key.storage.ss_family == AF_UNIX ? KIND_UNIX : KIND_IP;
}

/* The copy with which the successor is compared. NULL: none listens on anything. */
static const struct worker *find_model(const struct slot *slot)
{
    const struct worker *old = slot->worker;

    if (old && old->state == WORKER_READY && listens_at_all(old))
        return old;
    for (unsigned i = 0; i < runtime.workers && i < slot_count(); i++) {
        const struct worker *other = slot_at(i)->worker;
        if (other && other->state == WORKER_READY && listens_at_all(other))
            return other;
    }
    return NULL;
}

struct tally {
    int all;
    int waited; /* where a thread has come to wait */
};

struct comparison {
    struct tally absent[KINDS];           /* addresses of the model that the successor lacks */
    struct tally other[KINDS];            /* addresses of the successor that the model lacks */
    const struct channel *missing[KINDS]; /* one of the absent ones, of the model */
    const struct channel *asleep; /* of the successor, where no thread has come to wait yet */
};

static void count(struct tally *tally, const struct channel *channel)
{
    tally->all++;
    tally->waited += has_come_to_wait(channel);
}

static void compare_model(struct comparison *found, const struct worker *model,
                          const struct worker *successor)
{
    const struct channel *channel;

    LIST_FOREACH(channel, &model->channels, of_worker) {
        if (!is_open(channel))
            continue;
        const struct channel *twin = find_open(successor, channel->listener);
        if (!twin) {
            count(&found->absent[kind_of(channel)], channel);
            if (!found->missing[kind_of(channel)] || has_come_to_wait(channel))
                found->missing[kind_of(channel)] = channel;
        } else if (has_come_to_wait(channel) && !has_come_to_wait(twin)) {
            found->asleep = twin;
        }
    }
}

static void compare_successor(struct comparison *found, const struct worker *model,
                              const struct worker *successor)
{
    const struct channel *channel;

    LIST_FOREACH(channel, &successor->channels, of_worker)
        if (is_open(channel) && !find_open(model, channel->listener))
            count(&found->other[kind_of(channel)], channel);
}

static bool judge(const struct comparison *found, char *text, size_t size)
{
    char address[ADDRESS_TEXT_MAX];

    for (int kind = 0; kind < KINDS; kind++)
        if (found->absent[kind].all > found->other[kind].all ||
            found->absent[kind].waited > found->other[kind].waited) {
            snprintf(text, size, "does not listen on %s, as the old one does",
                     address_format(&found->missing[kind]->listener->bound, address));
            return false;
        }
    if (!found->asleep)
        return true;
    snprintf(text, size, "listens on %s and does not wait for connections there",
             address_format(&found->asleep->listener->bound, address));
    return false;
}

bool succession_is_complete(const struct slot *slot, char *text, size_t size)
{
    const struct worker *model = find_model(slot);
    struct comparison found = {0};

    if (!readiness_is_reached(slot->successor)) {
        snprintf(text, size, "%s", readiness_describe());
        return false;
    }
    if (!model) {
        bool old_listens_nowhere = slot->worker && slot->worker->state == WORKER_READY;
        snprintf(text, size, "does not listen");
        return old_listens_nowhere || listens_at_all(slot->successor);
    }
    compare_model(&found, model, slot->successor);
    compare_successor(&found, model, slot->successor);
    return judge(&found, text, size);
}
