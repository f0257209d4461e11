/* bind.c - see bind.h. */
#include "broker/share/claim/bind.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/base/log.h"
#include "broker/base/loop/fds.h"
#include "broker/diagnose/failure.h"
#include "broker/life/slot.h"
#include "broker/pool/closer.h"
#include "broker/pool/listener.h"
#include "broker/share/channel_messages.h"
#include "broker/share/claim/collision.h"
#include "broker/share/claim/meant.h"
#include "broker/share/claim/rights.h"
#include "broker/share/claim/sharing.h"
#include "broker/share/retire.h"

#define BINDS_TOLD 8 /* failures of one worker; a server may try for ever */

bool bind_is_same_file(int a_fd, int b_fd)
{
    struct stat a;
    struct stat b;

    /* of a file that is no socket nothing is asked: its file system might not answer */
    return fds_get_option(b_fd, SO_TYPE) >= 0 && fstat(a_fd, &a) == 0 && fstat(b_fd, &b) == 0 &&
           a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* What had the address is being closed. */
static bool is_to_settle(const struct bind_how *how)
{
    return how->may_settle && !closer_is_settled();
}

static struct bind_verdict settle_first(void)
{
    return (struct bind_verdict){.settles = true};
}

/* Whether the worker has the address already is not known yet. */
static struct bind_verdict look_further(struct worker *worker, unsigned ordinal)
{
    if (ordinal)
        worker_uncount_port_zero(worker); /* it is asked again */
    return (struct bind_verdict){.looks = true};
}

static struct bind_verdict fail(int error)
{
    return (struct bind_verdict){.verdict = WIRE_FAILED, .error = error};
}

struct bind_verdict bind_note_error(struct worker *worker, const struct address *address, int error)
{
    worker->bind_error = error;
    worker->bind_address = *address;
    if (!slot_was_ever_ready() && worker->told_of_binds < BINDS_TOLD &&
        failure_tell_bind(address, error))
        worker->told_of_binds++;
    return fail(error);
}

/* A broker that was killed before it could answer has bound it already. */
static bool is_bound_to(int fd, const struct address *address)
{
    int saved = errno;
    struct address bound = {.len = sizeof bound.storage};
    bool same = getsockname(fd, (struct sockaddr *)&bound.storage, &bound.len) == 0 &&
                address_equal(&bound, address);

    errno = saved;
    return same;
}

/* Whether all workers have closed it; untaken connections end with that, as natively. */
static bool is_given_up(struct listener *listener)
{
    if (listener->inherited)
        return false;
    for (uint32_t i = 0; i < listener->channel_count; i++)
        if (!listener->channels[i]->closed)
            return false;
    for (uint32_t count; (count = listener->channel_count) > 0;) {
        worker_on_channel_drained(listener->channels[0]);
        if (listener->channel_count == count)
            return false; /* some process has it still, past the hooks */
    }
    return true;
}

void bind_abandon(struct listener *listener)
{
    uint32_t closed = 0;

    while (closed < listener->channel_count)
        if (listener->channels[closed]->closed)
            closed++;
        else
            worker_close_channel(listener->channels[closed]);
    if (is_given_up(listener))
        listener_destroy(listener);
}

/* A close by a worker with a filter is not reported. */
static void close_unheld(struct worker *worker)
{
    struct channel *channel = worker_is_notified(worker) ? LIST_FIRST(&worker->channels) : NULL;

    while (channel) {
        if (channel->closed || collision_may_be_held(channel)) {
            channel = LIST_NEXT(channel, of_worker);
            continue;
        }
        worker_close_channel(channel); /* frees any that are closed */
        channel = LIST_FIRST(&worker->channels);
    }
}

/* A listener that no worker has any more, and that a new one's address overlaps: natively it would
 * be gone since its last close. */
void bind_give_up_unused(struct worker *worker, const struct address *address)
{
    channel_messages_read_waiting(worker);
    close_unheld(worker);
    listener_retire_now(NULL);
    struct listener *listener = TAILQ_FIRST(&listeners); /* not before: those may end it */
    while (listener) {
        struct listener *next = TAILQ_NEXT(listener, all);
        if (address_overlaps(&listener->bound, address) && is_given_up(listener))
            listener_destroy(listener);
        listener = next;
    }
}

/* 0 or the errno of bind(2). */
static int bind_canonical(int fd, struct worker *worker, const struct address *address)
{
    const struct sockaddr *name = (const struct sockaddr *)&address->storage;

    if (bind(fd, name, address->len) == 0 || is_bound_to(fd, address))
        return 0;
    if (errno != EADDRINUSE)
        return errno;
    bind_give_up_unused(worker, address);
    return bind(fd, name, address->len) == 0 ? 0 : errno;
}

static struct bind_verdict bind_new_name(struct worker *worker, const struct bind_how *how,
                                         const struct address *address, unsigned ordinal, int fd)
{
    if (!socket_key_is_fit(fd, address->storage.ss_family)) {
        closer_close(fd);
        return fail(EINVAL);
    }
    int error = bind_canonical(fd, worker, address);
    if (error == EADDRINUSE && is_to_settle(how))
        return settle_first();
    if (error) {
        closer_close(fd);
        return bind_note_error(worker, address, error);
    }
    struct listener *listener = listener_create(address, ordinal, NULL);
    if (!listener) {
        closer_close(fd);
        return fail(ENOMEM);
    }
    if (listener_set_canonical(listener, fd) < 0) {
        listener_destroy(listener);
        return fail(ENOMEM);
    }
    worker->bind_error = 0;
    return (struct bind_verdict){.verdict = WIRE_SHARED, .listener = listener};
}

/* Else the worker binds it by its own rights, and the kernel gives the answer. */
static bool may_be_new(struct worker *worker, const struct ucred *asker,
                       const struct address *address, const struct socket_key *key)
{
    char text[SOCKET_KEY_TEXT_MAX];

    if (rights_may_bind(asker->uid, address, sharing_is_asked(address, key)))
        return true;
    if (worker->told_of_rights)
        return false;
    worker->told_of_rights = true;
    log_info("worker %u (uid %u) is to bind %s by its own rights: this pool has not had that port; "
             "name it with --share to lend it those of the broker",
             worker->slot, (unsigned)asker->uid, socket_key_format(key, address, text));
    return false;
}

static struct bind_verdict share_name(struct worker *worker, const struct bind_how *how,
                                      const struct address *address, const struct socket_key *key,
                                      int fd)
{
    const struct ucred *asker = how->asker;
    unsigned ordinal = address_has_port_zero(address) ? worker_count_port_zero(worker) : 0;
    struct listener *listener = listener_find(address, key, ordinal);

    if (!listener && rights_has_room(asker->uid, worker)) {
        bool begins_with_it = sharing_is_of_beginning(worker, asker->pid, address, key);
        struct bind_verdict verdict = bind_new_name(worker, how, address, ordinal, fd);
        if (verdict.settles && ordinal)
            worker_uncount_port_zero(worker); /* it is asked again */
        if (verdict.listener)
            verdict.listener->began_late = verdict.listener->is_of_beginning = begins_with_it;
        return verdict;
    }
    enum socket_look look =
        listener ? collision_look(asker->pid, worker, listener, how->reuseport) : SOCKET_LOOK_FREE;
    if (look == SOCKET_LOOK_UNSEEN && how->may_settle)
        return look_further(worker, ordinal);
    closer_close(fd);
    if (!listener)
        return fail(ENOMEM);
    if (look != SOCKET_LOOK_FREE)
        return fail(EADDRINUSE);
    if (!worker_find_channel(worker, listener)) /* another worker shares it */
        listener->is_of_beginning = false;
    return (struct bind_verdict){.verdict = WIRE_SHARED, .listener = listener};
}

/* What the worker has closed is no more when it has its answer: it may listen on an address that
 * overlaps. */
static bool is_cleared(const struct bind_how *how, const struct address *address,
                       const struct socket_key *key)
{
    listener_retire_now(listener_find(address, key, 0));
    return !is_to_settle(how);
}

/* The operator has named it, which is more than a guess by the time of the bind. */
static struct bind_verdict share_meant(struct worker *worker, const struct bind_how *how,
                                       const struct address *asked, const struct address *meant,
                                       int fd)
{
    struct socket_key key;

    socket_key_read(&key, meant, fd);
    if (!is_cleared(how, meant, &key))
        return settle_first();
    struct bind_verdict verdict = share_name(worker, how, meant, &key, fd);
    if (verdict.listener) {
        verdict.listener->began_late = verdict.listener->is_of_beginning = false;
        listener_set_asked(verdict.listener, asked);
    }
    return verdict;
}

struct bind_verdict bind_name(struct worker *worker, const struct bind_how *how,
                              const struct address *address, int fd)
{
    struct address meant = *address;
    struct socket_key key;

    socket_key_read(&key, address, fd);
    channel_messages_read_waiting(worker); /* whether it has closed all that it had */
    if (is_to_settle(how))
        return settle_first();
    switch (meant_address(worker, &key, &meant)) {
    case MEANT_ANOTHER: return share_meant(worker, how, address, &meant, fd);
    case MEANT_NONE: closer_close(fd); return bind_note_error(worker, address, EADDRNOTAVAIL);
    case MEANT_AS_ASKED: break;
    }
    if (!sharing_covers(worker, how->asker->pid, address, &key) ||
        (!address_has_port_zero(address) && !listener_find(address, &key, 0) &&
         !may_be_new(worker, how->asker, address, &key))) {
        if (retire_is_data_port(NULL)) { /* of the last client */
            bind_give_up_unused(worker, address);
            if (is_to_settle(how))
                return settle_first();
        }
        closer_close(fd);
        return (struct bind_verdict){.verdict = WIRE_PRIVATE};
    }
    if (!is_cleared(how, address, &key))
        return settle_first();
    struct bind_verdict verdict = share_name(worker, how, address, &key, fd);
    if (verdict.listener)
        listener_set_asked(verdict.listener, NULL);
    return verdict;
}

struct bind_verdict bind_file(struct worker *worker, pid_t asker, const struct address *address,
                              uint64_t view)
{
    const struct socket_key key = {.view = view};
    struct listener *listener = listener_find(address, &key, 0);

    if (!sharing_covers(worker, asker, address, &key))
        return (struct bind_verdict){.verdict = WIRE_PRIVATE};
    if (!listener)
        return (struct bind_verdict){.verdict = WIRE_VACANT};
    switch (collision_look(asker, worker, listener, false)) {
    case SOCKET_LOOK_UNSEEN: return look_further(worker, 0);
    case SOCKET_LOOK_HELD: return fail(EADDRINUSE);
    case SOCKET_LOOK_FREE: break;
    }
    worker->bind_error = 0;
    return (struct bind_verdict){.verdict = WIRE_SHARED, .listener = listener};
}

struct listener *bind_listening_file(struct worker *worker, pid_t asker,
                                     const struct address *address, uint64_t view, int fd)
{
    const struct socket_key key = {.view = view};

    if (!sharing_covers(worker, asker, address, &key))
        return NULL;
    struct listener *bound = listener_find(address, &key, 0);
    if (bound)
        listener_displace(bound);
    struct listener *listener = listener_create(address, 0, NULL);
    int canonical_fd = listener ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
    if (!listener)
        return NULL;
    if (canonical_fd < 0 || listener_set_canonical(listener, canonical_fd) < 0) {
        listener_destroy(listener);
        return NULL;
    }
    listener_set_view(listener, view);
    return listener;
}
