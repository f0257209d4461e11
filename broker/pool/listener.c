/* listener.c - see listener.h. */
#include "broker/pool/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "broker/base/broker.h"
#include "broker/base/journal.h"
#include "broker/base/log.h"
#include "broker/pool/closer.h"

struct listener_queue listeners = TAILQ_HEAD_INITIALIZER(listeners);

static void do_nothing(struct listener *listener)
{
    (void)listener;
}

static void (*begin)(struct listener *listener) = do_nothing;
static void (*end)(struct listener *listener) = do_nothing;
static void (*unused)(struct loop_timer *retire);

void listener_init(void (*on_begin)(struct listener *), void (*on_end)(struct listener *),
                   void (*on_unused)(struct loop_timer *))
{
    begin = on_begin;
    end = on_end;
    unused = on_unused;
}

void listener_pump(struct listener *listener)
{
    if (listener->poll.watch.on_ready)
        listener->poll.watch.on_ready(&listener->poll.watch, 0);
}

void listener_pump_all(void)
{
    struct listener *listener;

    TAILQ_FOREACH(listener, &listeners, all)
        listener_pump(listener);
}

struct listener *listener_find(const struct address *key, const struct socket_key *socket,
                               unsigned ordinal)
{
    struct listener *listener;

    TAILQ_FOREACH(listener, &listeners, all)
        if (listener->path.folder_fd < 0 && !listener->shut && listener->ordinal == ordinal &&
            address_equal(&listener->key, key) && socket_key_equal(&listener->socket, socket))
            return listener;
    return NULL;
}

void listener_retire_in(struct listener *listener, int64_t delay_ms)
{
    listener->retire_ms = delay_ms;
    loop_start_timer(&listener->retire, delay_ms);
}

void listener_retire_if_unused(struct listener *listener)
{
    listener_retire_in(listener, 0);
}

void listener_owe_removal(struct listener *listener)
{
    listener->owes_removal = true;
}

void listener_set_missed(struct listener *listener, unsigned slot, bool on)
{
    uint64_t bit = UINT64_C(1) << slot % 64;

    listener->owes_removal |= on;
    if (on && slot < CONFIG_WORKERS_MAX)
        listener->missed_by[slot / 64] |= bit;
    else if (slot < CONFIG_WORKERS_MAX)
        listener->missed_by[slot / 64] &= ~bit;
}

bool listener_is_missed_by(const struct listener *listener, unsigned slot)
{
    return slot < CONFIG_WORKERS_MAX && (listener->missed_by[slot / 64] >> slot % 64 & 1);
}

static bool has_open_channel(const struct listener *listener)
{
    for (uint32_t i = 0; i < listener->channel_count; i++)
        if (!listener->channels[i]->closed)
            return true;
    return false;
}

void listener_displace(struct listener *listener)
{
    char text[ADDRESS_TEXT_MAX];

    if (has_open_channel(listener))
        log_info("the file of %s was removed and another copy has bound it again: clients reach "
                 "only copies started since; bring the others there with 'sshim restart'",
                 address_format(&listener->bound, text));
    path_close(&listener->path);
    listener->socket.view = 0;
    listener->displaced = true;
    listener_retire_if_unused(listener);
    journal_touch();
}

void listener_retire_now(const struct listener *but)
{
    struct listener *listener = TAILQ_FIRST(&listeners);

    while (listener) {
        struct listener *next = TAILQ_NEXT(listener, all);
        if (listener != but && loop_timer_runs(&listener->retire)) {
            loop_stop_timer(&listener->retire);
            unused(&listener->retire);
        }
        listener = next;
    }
}

struct listener *listener_find_path(const struct path *path, bool reserved)
{
    struct listener *listener;

    TAILQ_FOREACH(listener, &listeners, all)
        if (!listener->shut && path_equal(&listener->path, path) &&
            (listener->canonical_fd < 0) == reserved)
            return listener;
    return NULL;
}

struct listener *listener_create(const struct address *key, unsigned ordinal,
                                 const struct path *path)
{
    struct listener *listener = calloc(1, sizeof *listener);

    if (listener && !(listener->counts = journal_reserve_counts(&listener->counts_number))) {
        free(listener);
        listener = NULL;
        errno = ENOMEM;
    }
    if (!listener)
        return NULL;
    listener->key = *key;
    listener->bound = *key;
    listener->ordinal = ordinal;
    listener->canonical_fd = -1;
    listener->retire.on_time = unused;
    listener->path = path ? *path : (struct path){.folder_fd = -1};
    listener->displaced = address_is_path(key) && listener->path.folder_fd < 0;
    TAILQ_INIT(&listener->outstanding);
    TAILQ_INIT(&listener->recallable);
    TAILQ_INIT(&listener->woken);
    TAILQ_INSERT_TAIL(&listeners, listener, all);
    return listener;
}

void listener_adopt_counts(struct listener *listener, uint32_t number)
{
    journal_release_counts(listener->counts_number);
    listener->counts_number = number;
    listener->counts = journal_counts_at(number);
}

int listener_set_canonical(struct listener *listener, int canonical_fd)
{
    struct stat info;

    listener->canonical_fd = canonical_fd;
    listener->canonical_ino = fstat(canonical_fd, &info) == 0 ? info.st_ino : 0;
    begin(listener);
    /* Non-blocking, since broker and copies accept from it without waiting. Not under --handoff
     * direct, where only the copies accept. */
    if (runtime.handoff != HANDOFF_DIRECT &&
        fcntl(canonical_fd, F_SETFL, fcntl(canonical_fd, F_GETFL) | O_NONBLOCK) < 0)
        return -1;
    listener->bound.len = sizeof listener->bound.storage;
    if (getsockname(canonical_fd, (struct sockaddr *)&listener->bound.storage,
                    &listener->bound.len) < 0)
        return -1;
    socket_key_read(&listener->socket, &listener->bound, canonical_fd);
    return 0;
}

static void remove_file(struct listener *listener)
{
    if (!config_is_exact(&broker.config) && !listener->inherited)
        path_remove(&listener->path, listener->canonical_fd);
    path_close(&listener->path);
}

void listener_set_view(struct listener *listener, uint64_t view)
{
    listener->socket.view = view;
    listener->displaced = listener->displaced && view == 0;
    journal_touch();
}

void listener_set_inherited(struct listener *listener)
{
    listener->inherited = true;
    journal_touch();
}

void listener_set_own(struct listener *listener)
{
    listener->inherited = false;
    journal_touch();
}

void listener_set_stored(struct listener *listener)
{
    listener->stored = true;
    journal_touch();
}

void listener_set_name(struct listener *listener, const char *name)
{
    snprintf(listener->name, sizeof listener->name, "%s", name);
    journal_touch();
}

void listener_set_shut(struct listener *listener)
{
    listener->shut = true;
    listener->displaced = true;
}

void listener_give_up(struct listener *listener)
{
    listener_set_shut(listener);
    remove_file(listener);
    journal_touch();
}

void listener_destroy(struct listener *listener)
{
    loop_stop_timer(&listener->retire);
    end(listener);
    remove_file(listener);
    if (listener->canonical_fd >= 0)
        closer_give(listener->canonical_fd);
    TAILQ_REMOVE(&listeners, listener, all);
    journal_release_counts(listener->counts_number);
    journal_touch();
    free(listener->channels);
    free(listener);
}

void listener_set_asked(struct listener *listener, const struct address *asked)
{
    listener->asked = asked ? *asked : (struct address){0};
}

void listener_set_backlog(struct listener *listener, int backlog)
{
    listener->backlog = backlog;
    journal_touch();
}

void listener_set_listening(struct listener *listener, bool on)
{
    listener->listening = on;
    journal_touch();
}

void listener_add_channel(struct listener *listener, struct channel *channel)
{
    static uint64_t ordinals;

    if (listener->channel_count == listener->channel_room) {
        listener->channel_room = listener->channel_room ? listener->channel_room * 2 : 8;
        listener->channels =
            realloc(listener->channels, listener->channel_room * sizeof(struct channel *));
        if (!listener->channels)
            abort();
    }
    journal_touch();
    channel->position = listener->channel_count;
    channel->ordinal = ++ordinals;
    listener->channels[listener->channel_count++] = channel;
}

/* The order stays: where the last one filled the gap, a worker that comes back after each
 * connection would come before the others again and again. */
void listener_remove_channel(struct listener *listener, struct channel *channel)
{
    uint32_t gap = channel->position;

    listener->channel_count--;
    for (uint32_t i = gap; i < listener->channel_count; i++) {
        listener->channels[i] = listener->channels[i + 1];
        listener->channels[i]->position = i;
    }
    journal_touch();
    channel_settle(channel, listener->counts);
    channel_leave_queues(channel);
}

int listener_queued(const struct listener *listener, int *limit)
{
    struct tcp_info info;
    socklen_t len = sizeof info;

    *limit = -1;
    if (!listener->listening ||
        getsockopt(listener->canonical_fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
        return -1;
    *limit = (int)info.tcpi_sacked;
    return (int)info.tcpi_unacked;
}

struct listener_totals listener_totals(const struct listener *listener)
{
    const struct journal_counts *gone = listener->counts;
    struct journal_counts counts = *gone;
    struct listener_totals totals = {.handed = gone->handed, .recalled = gone->recalled};

    for (uint32_t i = 0; i < listener->channel_count; i++) {
        channel_settle(listener->channels[i], &counts);
        totals.untaken += channel_untaken(listener->channels[i]);
    }
    totals.taken = counts.taken;
    totals.direct = counts.direct;
    totals.lost = counts.lost > totals.untaken ? counts.lost - totals.untaken : 0;
    totals.accepted = totals.handed + totals.direct;
    totals.connections = totals.accepted - totals.recalled;
    return totals;
}

void listener_count_late(struct channel *channel)
{
    struct listener *listener = channel->listener;

    if (listener->missing_recalls == 0)
        return;
    uint64_t late = channel_count_late(channel, listener->missing_recalls);
    listener->missing_recalls -= late;
    listener->counts->recalled -= late;
}

void listener_repair_counts(struct listener *listener)
{
    struct listener_totals totals = listener_totals(listener);
    uint64_t known = totals.taken + totals.lost + totals.untaken;

    uint64_t recalled = totals.handed > known ? totals.handed - known : 0;
    listener->missing_recalls = recalled > totals.recalled ? recalled - totals.recalled : 0;
    listener->counts->recalled = recalled;
}

bool listener_any_holds(void)
{
    const struct listener *listener;

    TAILQ_FOREACH(listener, &listeners, all)
        if (listener->take.holds)
            return true;
    return false;
}
