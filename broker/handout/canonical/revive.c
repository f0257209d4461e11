/* revive.c - see revive.h. */
#include "broker/handout/canonical/revive.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>

#include "broker/base/broker.h"
#include "broker/base/log.h"
#include "broker/handout/canonical/listener_poll.h"
#include "broker/pool/worker.h"

#define EARLY_MS 2
#define REVIVE_MS 20        /* between two times that a socket is made to listen again */
#define REFUSAL_DOUBLINGS 6 /* REVIVE_MS so often doubled, where the kernel refuses: 1.28 s */
#define SILENCE_MS 60000    /* between two messages about one listener */

#define CULPRIT_TEXT_MAX 96

/* The worker, if there is only one that has the socket. */
static void describe_culprit(const struct listener *listener, char text[CULPRIT_TEXT_MAX])
{
    const struct worker *only = NULL;

    for (uint32_t i = 0; i < listener->channel_count; i++) {
        const struct worker *worker = listener->channels[i]->worker;
        if (only && worker != only) {
            snprintf(text, CULPRIT_TEXT_MAX, "one of the workers that share it");
            return;
        }
        only = worker;
    }
    if (only)
        snprintf(text, CULPRIT_TEXT_MAX, "worker %u (pid %d), which has it alone,", only->slot,
                 (int)only->pid);
    else
        snprintf(text, CULPRIT_TEXT_MAX, "a process that a worker has left behind");
}

static void tell(struct listener *listener, const char *what, const char *remedy)
{
    char text[SOCKET_KEY_TEXT_MAX];
    char culprit[CULPRIT_TEXT_MAX];

    describe_culprit(listener, culprit);
    socket_key_format(&listener->socket, &listener->bound, text);
    log_error("%s %s: %s has shut the socket down; %s", what, text, culprit, remedy);
    listener->revive.told_ms = loop_now_ms();
}

static bool is_silent(const struct listener *listener)
{
    return listener->revive.told_ms && loop_now_ms() - listener->revive.told_ms < SILENCE_MS;
}

static void give_up(struct listener *listener)
{
    tell(listener, "nobody listens any more on",
         "the next worker that binds it gets a new one: restart the workers");
    listener_give_up(listener);
}

/*
 * shutdown(2) of a socket that does not listen any more leaves a mark on it that its connections
 * inherit, and that only connect(2) to nowhere takes away. A worker may shut it again before the
 * loop comes back to it: only the kernel's refusal counts.
 */
static bool listen_again(struct listener *listener)
{
    int backlog = broker.config.backlog ? broker.config.backlog : listener->backlog;
    struct pollfd state = {.fd = listener->canonical_fd};
    struct sockaddr nowhere = {.sa_family = AF_UNSPEC};

    connect(listener->canonical_fd, &nowhere, sizeof nowhere);
    if (listen(listener->canonical_fd, backlog) < 0) {
        if (listener->revive.refusals++ == 0)
            tell(
                listener, "cannot listen again yet on",
                "the server does not set SO_REUSEADDR: tried again until its connections are over");
        return false;
    }
    listener->revive.refusals = 0;
    listener->revive.done_ms = loop_now_ms();
    return poll(&state, 1, 0) == 0;
}

static void try_later(struct listener *listener)
{
    unsigned doublings = listener->revive.refusals < REFUSAL_DOUBLINGS ? listener->revive.refusals
                                                                       : REFUSAL_DOUBLINGS;

    listener_poll_end(listener); /* or its hang-up would be reported for ever */
    loop_start_timer(&listener->revive.timer, REVIVE_MS << doublings);
}

/* A worker with a filter listens on a socket file by itself: it is about to. */
static bool is_early(const struct listener *listener)
{
    int listens = 0;
    socklen_t len = sizeof listens;

    return listener->bound.storage.ss_family == AF_UNIX &&
           getsockopt(listener->canonical_fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) == 0 &&
           !listens;
}

static void wait_for_listen(struct listener *listener)
{
    listener_poll_end(listener);
    loop_start_timer(&listener->revive.timer, EARLY_MS);
}

static void on_revive_time(struct loop_timer *timer)
{
    struct listener *listener = loop_container(timer, struct listener, revive.timer);
    bool is_file = listener->bound.storage.ss_family == AF_UNIX;

    if (listener->shut)
        return;
    if (is_early(listener)) {
        wait_for_listen(listener);
        return;
    }
    if (!is_file && !listen_again(listener)) {
        try_later(listener);
        return;
    }
    listener_poll_arm(listener, !listener->queue.waits);
    listener_pump(listener);
}

bool revive_listener(struct listener *listener)
{
    listener->revive.timer.on_time = on_revive_time;
    if (listener->shut || loop_timer_runs(&listener->revive.timer))
        return false;
    if (is_early(listener)) {
        wait_for_listen(listener);
        return false;
    }
    listener->revive.shut_downs++;
    if (listener->bound.storage.ss_family == AF_UNIX) {
        listener_poll_end(listener);
        give_up(listener);
        return false;
    }
    if (!is_silent(listener))
        tell(listener, "listening again on",
             runtime.intercept == INTERCEPT_SECCOMP
                 ? "it should only close it when it ends: all copies share one"
                 : "look for a program that was broken into");
    if (loop_now_ms() - listener->revive.done_ms >= REVIVE_MS && listen_again(listener))
        return true;
    try_later(listener);
    return false;
}

bool revive_is_stillborn(int connection_fd)
{
    struct pollfd state = {.fd = connection_fd};
    struct tcp_info info;
    socklen_t len = sizeof info;

    return poll(&state, 1, 0) == 1 && (state.revents & POLLHUP) &&
           getsockopt(connection_fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0 &&
           info.tcpi_state == TCP_ESTABLISHED;
}

void revive_finish(struct listener *listener)
{
    loop_stop_timer(&listener->revive.timer);
}
