/*
 * renew.c - a worker that accepts by itself, since broker and keeper were killed, asks now and then
 * whether there is a new broker. Only where the program comes to accept or wait anyway; no thread,
 * no timer. The record stays the same one: other threads may sit in a call on it.
 */
#include <errno.h>
#include <fcntl.h>
#include <time.h>

#include "shim/base/env.h"
#include "shim/base/fdmap.h"
#include "shim/base/next.h"
#include "shim/base/retarget.h"
#include "shim/record/vlisten.h"

#define ANSWER_MS 20 /* a broker that is about to start answers later; nobody waits for it here */

/* With --handoff direct the canonical socket is where it is to be. */
bool renew_is_due_some_time(struct vlisten *listener)
{
    return atomic_load(&listener->direct) && !board_has_flag(listener->board, BOARD_DIRECT) &&
           (atomic_load(&listener->board->worker.flags) & BOARD_LISTENING);
}

/* One thread in each second. */
static bool is_my_turn(struct vlisten *listener)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    int64_t due_s = atomic_load(&listener->ask_at_s);
    return now.tv_sec >= due_s &&
           atomic_compare_exchange_strong(&listener->ask_at_s, &due_s, now.tv_sec + RENEW_EVERY_S);
}

static int ask(struct vlisten *listener, struct link_grant *grant)
{
    struct wire_attach request = {
        .auth = env.auth, .channel = listener->channel, .flags = WIRE_ATTACH_RENEW};
    int link_fd = link_open_within(ANSWER_MS);

    if (link_fd < 0)
        return -1;
    wire_head_init(&request.head, WIRE_ATTACH);
    int result =
        link_ask(link_fd, &request, sizeof request, atomic_load(&listener->shadow_fd), grant);
    NEXT(close)(link_fd);
    return result;
}

/* Of this process: each one that shares the channel brings its own. */
static unsigned count_connections(struct vlisten *listener)
{
    unsigned count = 0;
    int last = atomic_load(&fdmap_last_conn);

    for (int fd = 0; fd <= last; fd++) {
        struct fdmap_entry entry = fdmap_get(fd);
        count += entry.kind == FDMAP_CONN && entry.index == vlisten_index(listener);
    }
    return count;
}

/*
 * What is raised now was raised in the old page (vlisten_map_board). The connections of this
 * process go over from one to the other, which its relatives may still have.
 */
static bool take_board(struct vlisten *listener, int board_fd)
{
    uint32_t nonblock = vlisten_is_nonblock(listener) ? BOARD_NONBLOCK : 0;
    unsigned connections = count_connections(listener);

    atomic_fetch_add(&listener->board->worker.closed, connections);
    /* or a thread that comes to accept meanwhile would hear that nobody listens, or wait */
    if (!vlisten_map_board(listener, board_fd, BOARD_LISTENING | nonblock)) {
        atomic_fetch_sub(&listener->board->worker.closed, connections);
        return false;
    }
    atomic_fetch_add(&listener->board->worker.direct, connections);
    return true;
}

/* The channel takes the place of the canonical socket, and only then calls act on it. False: it
 * could not be put there. */
static bool refit(struct vlisten *listener, int fd, const struct link_grant *grant)
{
    int backlog = listener->backlog;
    int fds[RETARGET_MAX];
    int status_flags = NEXT(fcntl)(fd, F_GETFL) & ~O_NONBLOCK;

    claim_dress_channel(grant->channel_fd, fd,
                        status_flags | (vlisten_is_nonblock(listener) ? O_NONBLOCK : 0));
    if (!take_board(listener, grant->board_fd) || retarget(fd, grant->channel_fd, fds) < 0)
        return false;
    listener->channel = grant->channel;
    listener->backlog = grant->backlog;
    atomic_store(&listener->fd, fd);
    atomic_store(&listener->direct, false);
    claim_tell_listening(listener, backlog);
    return true;
}

void renew_if_due(struct vlisten *listener, int fd)
{
    struct link_grant grant;
    int saved = errno;

    if (fd >= 0 && renew_is_due_some_time(listener) && is_my_turn(listener) && vlisten_is_owner() &&
        ask(listener, &grant) == 0) {
        if (grant.verdict == WIRE_SHARED && grant.channel_fd >= 0 && !refit(listener, fd, &grant))
            link_grant_refuse(&grant, grant.channel_fd);
        link_grant_finish(&grant);
    }
    errno = saved;
}
