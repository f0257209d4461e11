/* retire.c - see retire.h. */
#include "broker/share/retire.h"

#include "broker/base/broker.h"
#include "broker/base/journal.h"
#include "broker/base/log.h"
#include "broker/base/turn.h"
#include "broker/diagnose/procnet.h"
#include "broker/handout/handout.h"
#include "broker/life/restart.h"
#include "broker/life/slot.h"
#include "broker/life/stop.h"
#include "broker/pool/listener.h"
#include "broker/pool/worker.h"

#define LOOK_MS 100 /* between looks, doubling up to */
#define LOOK_MAX_MS 1000
/* In which a new worker that is ready opens the rest of its listeners. */
#define COME_BACK_MS 1000
#define REMEMBERED 64 /* a power of two */

static struct {
    struct address address;
    bool began_late;      /* listener.h */
    bool is_of_beginning; /* what is bound there later is not shared for this */
} remembered[REMEMBERED];
static unsigned remembered_count;

/* Where the kernel has chosen the port: that one. */
static void remember(const struct listener *listener)
{
    bool is_chosen = address_has_port_zero(&listener->key);
    unsigned at = remembered_count++ % REMEMBERED;

    remembered[at].address = is_chosen ? listener->bound : listener->key;
    remembered[at].began_late = listener->began_late;
    remembered[at].is_of_beginning = listener->is_of_beginning;
}

static bool opens_data_ports;

void retire_note_close(const struct channel *channel)
{
    const struct channel *other;
    bool was_known = opens_data_ports;

    if (!channel->listener->began_late || channel_accepted(channel) == 0)
        return;
    LIST_FOREACH(other, &channel->worker->channels, of_worker)
        opens_data_ports |= other != channel && !other->closed && !other->listener->began_late;
    if (opens_data_ports != was_known)
        journal_touch();
}

bool retire_knows_data_ports(void)
{
    return opens_data_ports;
}

bool retire_is_data_port(const struct listener *listener)
{
    return opens_data_ports && (!listener || listener->began_late);
}

bool retire_was_shared(const struct address *address)
{
    for (unsigned i = 0; i < REMEMBERED && i < remembered_count; i++)
        if (address_equal(&remembered[i].address, address) && !remembered[i].is_of_beginning &&
            !(opens_data_ports && remembered[i].began_late))
            return true;
    return false;
}

bool retire_was_ours(const struct address *address)
{
    for (unsigned i = 0; i < REMEMBERED && i < remembered_count; i++)
        if (address_equal(&remembered[i].address, address))
            return true;
    return false;
}

/* What was let go and is there still, a process holds: a program that is being executed with it has
 * not asked for it yet. */
static bool is_used(const struct listener *listener)
{
    for (uint32_t i = 0; i < listener->channel_count; i++) {
        const struct channel *channel = listener->channels[i];
        if ((!channel->closed || channel->their_fd < 0) && channel->worker->state <= WORKER_READY)
            return true;
    }
    return false;
}

static bool may_come_back(const struct slot *slot)
{
    const struct worker *worker = slot->worker;

    if (!worker)
        return !slot->has_ended;
    return worker->state == WORKER_STARTING || loop_now_ms() - worker->ready_ms < COME_BACK_MS;
}

/* A worker that has shut its listener down has the socket still. */
static bool is_canonical(ino_t ino)
{
    const struct listener *listener;

    TAILQ_FOREACH(listener, &listeners, all)
        if (listener->canonical_ino == ino)
            return true;
    return false;
}

/* The kernel's tables of a machine with many connections take long, and the same is asked for each
 * listener. */
static bool listens_by_itself(const struct worker *worker)
{
    static pid_t looked_at;
    static int64_t looked_ms;
    static bool listens;
    char text[ADDRESS_TEXT_MAX] = "";

    if (looked_at == worker->pid && loop_now_ms() - looked_ms < LOOK_MS)
        return listens;
    turn_allow_more();
    listens = procnet_find_own(worker->pid, is_canonical, text, sizeof text);
    looked_at = worker->pid;
    looked_ms = loop_now_ms();
    return listens;
}

bool retire_is_about_to_end(const struct worker *worker)
{
    return worker->state == WORKER_READY && worker_has_left(worker) && !listens_by_itself(worker);
}

static bool is_awaited(const struct listener *listener)
{
    if (listener->displaced)
        return false;
    if (restart_is_under_way() && listener->channel_count > 0)
        return true;
    if (config_is_exact(&broker.config))
        return false; /* also if the copy was killed: the kernel has just reset what it was sent */
    for (unsigned i = 0; i < runtime.workers && i < slot_count(); i++) {
        const struct slot *slot = slot_at(i);
        if (listener_is_missed_by(listener, i) && may_come_back(slot))
            return true;
        if (listener->listening && slot->worker && retire_is_about_to_end(slot->worker))
            return true;
    }
    return false;
}

/* It listens on all that it is to listen on. */
static bool is_settled(const struct worker *worker)
{
    return worker && worker->state == WORKER_READY &&
           (worker->settles || loop_now_ms() - worker->ready_ms >= COME_BACK_MS);
}

bool retire_is_own(const struct listener *listener, const struct worker *owner)
{
    bool others = stop_is_under_way();

    for (uint32_t i = 0; i < listener->channel_count; i++)
        if (!listener->channels[i]->closed && listener->channels[i]->worker != owner &&
            listener->channels[i]->worker->state != WORKER_GONE)
            return false;
    for (unsigned i = 0; i < runtime.workers && i < slot_count(); i++) {
        const struct worker *worker = slot_at(i)->worker;
        if (listener_is_missed_by(listener, i) && may_come_back(slot_at(i)))
            return false;
        others |= worker != owner && is_settled(worker);
    }
    return others;
}

/* Old workers that have connections still hold the socket, and remove its file when they end. */
static void refuse_clients(struct listener *listener)
{
    char text[SOCKET_KEY_TEXT_MAX];

    log_debug("nobody listens any more on %s",
              socket_key_format(&listener->socket, &listener->bound, text));
    handout_shut(listener);
    if (listener->owes_removal) /* the worker that was kept from its file may bind it at once */
        listener_give_up(listener);
    else
        listener_set_shut(listener);
    listener_pump(listener);
}

void retire_on_time(struct loop_timer *retire)
{
    struct listener *listener = loop_container(retire, struct listener, retire);

    if (stop_is_under_way() || listener->inherited || is_used(listener))
        return;
    if (is_awaited(listener) || listener_find_path(&listener->path, true)) {
        int64_t next_ms = listener->retire_ms ? listener->retire_ms * 2 : LOOK_MS;
        listener_retire_in(listener, next_ms < LOOK_MAX_MS ? next_ms : LOOK_MAX_MS);
        return;
    }
    remember(listener);
    if (listener->channel_count == 0 && !listener->owes_removal)
        path_close(&listener->path); /* as natively: closing leaves the file */
    if (listener->channel_count == 0)
        listener_destroy(listener);
    else if (!listener->shut)
        refuse_clients(listener);
}

void retire_resume(bool knows_data_ports)
{
    struct listener *listener;

    opens_data_ports = knows_data_ports;
    TAILQ_FOREACH(listener, &listeners, all) {
        for (unsigned i = 0; i < runtime.workers; i++)
            if (i >= slot_count() || !slot_at(i)->worker ||
                slot_at(i)->worker->state != WORKER_READY)
                listener_set_missed(listener, i, true);
        listener_owe_removal(listener);
        listener_retire_if_unused(listener);
    }
}
