/* session_receive.c - see session.h: accepts peers and checks what they send. */
#include "broker/pool/session/session.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "broker/base/journal.h"
#include "broker/pool/closer.h"
#include "broker/pool/worker.h"
#include "proto/fdpass.h"

/*
 * The worker whose message comes next, or NULL. Peeks and does not receive: a received descriptor
 * would be ours to close, see closer.h. *is_there: there is a message, or the end. One peek answers
 * both, since a message may come between two.
 */
static struct worker *find_sender(const struct session *session, bool *is_there)
{
    struct session_start start;

    ssize_t got = recv(session->watch.fd, &start, sizeof start, MSG_PEEK | MSG_DONTWAIT);
    *is_there = got >= 0 || errno != EAGAIN;
    bool is_workers =
        got == sizeof start && (start.head.type == WIRE_CLAIM || start.head.type == WIRE_ATTACH ||
                                start.head.type == WIRE_PROXIED);
    return is_workers ? worker_find_by_token(&start.auth) : NULL;
}

static unsigned count_waiting(const struct budget *budget)
{
    const struct session *session;
    unsigned count = 0;

    TAILQ_FOREACH(session, &sessions, all)
        count += session->waits.budget == budget;
    return count;
}

/* Whether the next message is received now. May close the session: who has left its link waits for
 * no answer, so beyond its worker's share nothing is read for it. */
static bool may_receive(struct session *session, bool is_over)
{
    bool is_there;
    struct worker *worker = find_sender(session, &is_there);

    if (!is_there)
        return false;
    if (session_is_stranger(session) && (!worker || !closer_has_room())) {
        session_close(session);
        return false;
    }
    if (!worker || !budget_is_spent(&worker->budget))
        return true;
    if (!is_over && count_waiting(&worker->budget) < SESSION_CLAIMS_MAX)
        budget_wait(&worker->budget, &session->waits, &session->watch);
    else
        session_close(session);
    return false;
}

/* A peer may shut its side of the stream down after its line and still gets the answer: so only the
 * end of the other side is watched. */
static void on_text_ready(struct session *session)
{
    bool peeks = session_is_stranger(session) && !session->from->refuses_fds;
    enum line_state state = line_receive(&session->line, session->watch.fd, peeks ? MSG_PEEK : 0);

    session->has_spoken = session->has_spoken || session->line.len_bytes > 0;
    if (state == LINE_PART)
        return;
    loop_modify(&session->watch, 0);
    if (state == LINE_NONE)
        session_close(session);
    else if (state == LINE_LONG)
        session_answer(session, EXIT_USAGE, "a command has at most %d bytes\n", WIRE_LINE_MAX - 2);
    else
        session_handle_text(session, session->line.text);
}

static void on_message_ready(struct session *session, bool is_over)
{
    union {
        struct wire_head head;
        struct wire_claim claim;
        struct wire_command command;
    } message = {0}; /* what the peer leaves out is 0 */
    int fd;
    int truncated;

    if (!may_receive(session, is_over))
        return;
    ssize_t got = fdpass_recv(session->watch.fd, &message, sizeof message, &fd,
                              MSG_DONTWAIT | MSG_CMSG_CLOEXEC, &truncated);
    if (got < 0 && errno == EAGAIN)
        return;
    session->has_spoken = true;
    int type = got > 0 && !truncated ? wire_check(&message, (size_t)got, fd >= 0) : -1;
    if (type >= 0) {
        session_handle(session, &message, type, fd);
        return;
    }
    closer_close(fd);
    session_close(session);
}

static void on_session_ready(struct loop_fd *watch, uint32_t events)
{
    struct session *session = loop_container(watch, struct session, watch);
    bool is_over = events & (EPOLLHUP | EPOLLERR);

    if (session->state == SESSION_TELLING) {
        if (is_over)
            session_close(session);
        else
            session_tell(session);
    } else if (!session->from->is_text) {
        on_message_ready(session, is_over);
    } else if (session->state == SESSION_NEW && !is_over) {
        on_text_ready(session);
    } else if (is_over) {
        session_close(session);
    }
}

static void on_deadline(struct loop_timer *timer)
{
    session_close(loop_container(timer, struct session, deadline));
}

/* No message was read from it and none waits. */
static bool is_silent(const struct session *session)
{
    char byte;

    return !session->has_spoken && recv(session->watch.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0;
}

/*
 * A peer with a request sends it at once, and it is read as soon as the link is accepted. So silent
 * links make room: strangers first, the oldest first. NULL: all have spoken.
 */
static struct session *find_silent(const struct door *from)
{
    struct session *session;
    struct session *silent = NULL;

    TAILQ_FOREACH(session, &sessions, all) {
        bool wanted = session_is_stranger(session) || !silent;
        if (session->from != from || !wanted || !is_silent(session))
            continue;
        if (session_is_stranger(session))
            return session;
        silent = session;
    }
    return silent;
}

/* False: there is no room for one more. */
static bool make_room(struct door *from)
{
    struct session *silent;

    if (from->sessions < from->max)
        return true;
    silent = find_silent(from);
    if (silent)
        session_close(silent);
    else
        door_pause(from, true);
    return silent != NULL;
}

/* Takes fd. NULL with the errno of getsockopt(2) or epoll_ctl(2), or ENOMEM. */
static struct session *open_session(struct door *from, int fd)
{
    struct session *session = calloc(1, sizeof *session);
    socklen_t len = sizeof session->peer;

    if (session)
        session->watch = (struct loop_fd){fd, on_session_ready};
    if (!session || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &session->peer, &len) < 0 ||
        loop_add(&session->watch, EPOLLIN) < 0) {
        free(session);
        close(fd);
        return NULL;
    }
    session->deadline.on_time = on_deadline;
    session->claim_fd = -1;
    session->from = from;
    from->sessions++;
    loop_start_timer(&session->deadline, SESSION_DEADLINE_MS);
    TAILQ_INSERT_TAIL(&sessions, session, all);
    return session;
}

static void on_door_ready(struct loop_fd *watch, uint32_t events)
{
    struct door *from = loop_container(watch, struct door, watch);

    (void)events;
    if (!door_may_accept(from) || !make_room(from))
        return;
    int fd = accept4(watch->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
        if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
            door_rest();
        return;
    }
    struct session *session = open_session(from, fd);
    if (session)
        on_session_ready(&session->watch, EPOLLIN);
}

bool session_open_lasting(enum door_name name, int fd)
{
    struct session *session = open_session(door_at(name), fd);

    if (!session)
        return false;
    session->lasts = true;
    session->has_spoken = true; /* it makes no room for others */
    loop_stop_timer(&session->deadline);
    return true;
}

int session_listen(enum door_name name, int fd)
{
    journal_touch();
    return door_open(name, fd, on_door_ready);
}
