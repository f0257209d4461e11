/* session.c - accepts peers and checks their messages; session_init() gives the answering
 * functions. */
#include "broker/pool/session.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "broker/base/broker.h"
#include "broker/base/journal.h"
#include "broker/pool/closer.h"
#include "broker/pool/worker.h"
#include "proto/fdpass.h"

static struct session_queue sessions = TAILQ_HEAD_INITIALIZER(sessions);

struct rendezvous {
    struct loop_fd watch;
    unsigned sessions;
    unsigned max;
    bool is_text;
    bool refuses_fds; /* text carries no descriptors */
    bool paused;      /* all of its sessions are at work */
};

static struct rendezvous rendezvous[] = {
#define X(name, max_sessions, text) {.watch = {.fd = -1}, .max = (max_sessions), .is_text = (text)},
    SESSION_DOORS(X)
#undef X
};
static_assert(sizeof rendezvous / sizeof rendezvous[0] == SESSION_DOORS_COUNT, "a row a door");

static session_handler *handle;
static session_text_handler *handle_text;
static struct loop_timer shortage;

#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83 /* asm-generic/socket.h */
#endif
#define SHORTAGE_PAUSE_MS 100 /* out of fds or memory: peers wait in the backlog meanwhile */

/* The backlog stays readable: watching it when nothing can be accepted would be a busy loop. */
static void review_rendezvous(void)
{
    for (unsigned i = 0; i < SESSION_DOORS_COUNT; i++)
        if (rendezvous[i].watch.fd >= 0)
            loop_modify(&rendezvous[i].watch,
                        rendezvous[i].paused || loop_timer_runs(&shortage) ? 0 : EPOLLIN);
}

static void pause_rendezvous(struct rendezvous *from, bool on)
{
    if (from->paused == on)
        return;
    from->paused = on;
    review_rendezvous();
}

bool session_is_stranger(const struct session *session)
{
    return session->peer.uid != 0 && session->peer.uid != broker.uid;
}

/* What was not read may hold descriptors, which end with the link. */
static void close_link(const struct session *session)
{
    char byte;

    if (session_is_stranger(session) &&
        recv(session->watch.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0) {
        shutdown(session->watch.fd, SHUT_RDWR); /* the helpers may take their time */
        closer_pass(session->watch.fd);
    } else {
        close(session->watch.fd);
    }
}

void session_close(struct session *session)
{
    if (session->on_close)
        session->on_close(session);
    loop_remove(&session->watch);
    loop_stop_timer(&session->deadline);
    close_link(session);
    closer_close(session->claim_fd);
    free(session->text);
    TAILQ_REMOVE(&sessions, session, all);
    struct listener *reserved = session->reserved;
    session->from->sessions--;
    pause_rendezvous(session->from, false);
    free(session);
    if (reserved) {
        listener_destroy(reserved);
        session_retry_parked();
    }
}

void session_retry_parked(void)
{
    struct session *session = TAILQ_FIRST(&sessions);

    while (session) {
        struct session *next = TAILQ_NEXT(session, all);
        if (session->state == SESSION_PARKED) {
            int fd = session->claim_fd;
            session->state = SESSION_NEW;
            session->claim_fd = -1;
            if (!handle(session, &session->claim, WIRE_CLAIM, fd))
                session_close(session);
        }
        session = next;
    }
}

bool session_send(struct session *session, const void *message, size_t len_bytes, int fd)
{
    journal_save_now();
    return fdpass_send(session->watch.fd, message, len_bytes, fd, MSG_DONTWAIT) == 0;
}

/* False with the errno of send(2): it was not taken. */
static bool send_piece(struct session *session)
{
    const char *text = session->text + session->text_sent;
    size_t len = session->text_len - session->text_sent;
    struct wire_text piece = {.head = WIRE_HEAD(WIRE_TEXT)};

    if (session->from->is_text) {
        ssize_t sent = send(session->watch.fd, text, len, MSG_DONTWAIT | MSG_NOSIGNAL);
        session->text_sent += sent > 0 ? (size_t)sent : 0;
        return sent >= 0;
    }
    if (len > sizeof piece.text)
        len = sizeof piece.text;
    memcpy(piece.text, text, len);
    if (!session_send(session, &piece, WIRE_TEXT_MIN + len, -1))
        return false;
    session->text_sent += len;
    return true;
}

/* False: there is nothing to send now. */
static bool take_more(struct session *session)
{
    if (!session->more)
        return false;
    session->text_sent = 0;
    session->text_len = session->more(session, session->text);
    return session->text_len > 0;
}

/* False: the session is to be closed. */
static bool send_rest(struct session *session)
{
    struct wire_result result = {.head = WIRE_HEAD(WIRE_RESULT), .exit_code = session->exit_code};

    while (session->text_sent < session->text_len || take_more(session)) {
        if (send_piece(session))
            continue;
        loop_modify(&session->watch, EPOLLOUT);
        return errno == EAGAIN;
    }
    if (session->more) {
        loop_modify(&session->watch, 0); /* but for its end */
        return true;
    }
    if (!session->from->is_text)
        session_send(session, &result, sizeof result, -1);
    return false;
}

/* All was told, or the peer is gone or does not read. */
static void end_answer(struct session *session)
{
    bool is_told = session->text && session->text_sent == session->text_len;

    if (!session->lasts || !is_told) {
        session_close(session);
        return;
    }
    free(session->text);
    session->text = NULL;
    session->line = (struct line){.len_bytes = 0};
    session->tells_exit_code = false;
    session->state = SESSION_NEW;
    loop_modify(&session->watch, EPOLLIN);
}

/* NULL: there is no memory. */
static char *add_exit_code(char *text, size_t *len, int exit_code)
{
    char *longer = NULL;
    int used = asprintf(&longer, "%.*sexit %d\n", (int)*len, text, exit_code);

    free(text);
    *len = used >= 0 ? (size_t)used : 0;
    return used >= 0 ? longer : NULL;
}

void session_send_text(struct session *session, char *text, size_t len, int exit_code)
{
    journal_save_now();
    session->state = SESSION_TELLING;
    session->on_close = NULL;
    if (text && session->tells_exit_code)
        text = add_exit_code(text, &len, exit_code);
    session->text = text;
    session->text_len = len;
    session->text_sent = 0;
    session->exit_code = exit_code;
    if (!text || !send_rest(session))
        end_answer(session);
}

void session_answer(struct session *session, int exit_code, const char *format, ...)
{
    va_list arguments;
    char *text = NULL;

    va_start(arguments, format);
    int len = vasprintf(&text, format, arguments);
    va_end(arguments);
    session_send_text(session, len >= 0 ? text : NULL, (size_t)len, exit_code);
}

void session_await(struct session *session, void (*on_close)(struct session *))
{
    session->state = SESSION_AWAITING;
    session->on_close = on_close;
    loop_stop_timer(&session->deadline);
}

void session_follow(struct session *session, session_source *more,
                    void (*on_close)(struct session *))
{
    session_await(session, on_close);
    session->state = SESSION_TELLING;
    session->more = more;
    session->text = malloc(SESSION_PIECE_MAX + 1);
    if (session->text)
        session_push(session);
    else
        session_close(session);
}

void session_push(struct session *session)
{
    if (!send_rest(session))
        session_close(session);
}

void session_reserve(struct session *session, struct listener *listener)
{
    session->state = SESSION_RESERVED;
    session->reserved = listener;
}

struct listener *session_take_reserved(struct session *session)
{
    struct listener *listener = session->reserved;

    session->state = SESSION_NEW;
    session->reserved = NULL;
    return listener;
}

void session_park(struct session *session, const struct wire_claim *claim, int fd)
{
    session->state = SESSION_PARKED;
    session->claim = *claim;
    session->claim_fd = fd;
}

/*
 * Whether the next message proves its sender. Peeks and does not receive: a received descriptor
 * would be ours to close, see closer.h. *is_there: there is a message, or the end. One peek answers
 * both, since a message may come between two.
 */
static bool is_proven(const struct session *session, bool *is_there)
{
    struct {
        struct wire_head head;
        struct wire_auth auth;
    } start;
    static_assert(offsetof(struct wire_claim, auth) == sizeof start.head, "where CLAIM has it");
    static_assert(offsetof(struct wire_attach, auth) == sizeof start.head, "where ATTACH has it");
    static_assert(offsetof(struct wire_proxied, auth) == sizeof start.head, "where PROXIED has it");

    ssize_t got = recv(session->watch.fd, &start, sizeof start, MSG_PEEK | MSG_DONTWAIT);
    *is_there = got >= 0 || errno != EAGAIN;
    return got == sizeof start && closer_has_room() &&
           (start.head.type == WIRE_CLAIM || start.head.type == WIRE_ATTACH ||
            start.head.type == WIRE_PROXIED) &&
           worker_find_by_token(&start.auth);
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
    else if (!handle_text(session, session->line.text))
        session_close(session);
}

static void on_message_ready(struct session *session)
{
    union {
        struct wire_head head;
        struct wire_claim claim;
        struct wire_command command;
    } message = {0}; /* what the peer leaves out is 0 */
    int fd;
    int truncated;
    bool is_there = true;
    if (session_is_stranger(session) && !is_proven(session, &is_there)) {
        if (is_there)
            session_close(session);
        return;
    }
    ssize_t got = fdpass_recv(session->watch.fd, &message, sizeof message, &fd,
                              MSG_DONTWAIT | MSG_CMSG_CLOEXEC, &truncated);
    if (got < 0 && errno == EAGAIN)
        return;
    session->has_spoken = true;
    int type = got > 0 && !truncated ? wire_check(&message, (size_t)got, fd >= 0) : -1;
    if (type < 0)
        closer_close(fd);
    if (type < 0 || !handle(session, &message, type, fd))
        session_close(session);
}

static void on_session_ready(struct loop_fd *watch, uint32_t events)
{
    struct session *session = loop_container(watch, struct session, watch);
    bool is_over = events & (EPOLLHUP | EPOLLERR);

    if (session->state == SESSION_TELLING) {
        if (is_over)
            session_close(session);
        else if (!send_rest(session))
            end_answer(session);
    } else if (!session->from->is_text) {
        on_message_ready(session);
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

static void on_shortage_over(struct loop_timer *timer)
{
    (void)timer;
    review_rendezvous();
}

/* Out of descriptors or memory. */
static void rest(void)
{
    shortage.on_time = on_shortage_over;
    loop_start_timer(&shortage, SHORTAGE_PAUSE_MS);
    review_rendezvous();
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
static struct session *find_silent(const struct rendezvous *from)
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
static bool make_room(struct rendezvous *from)
{
    struct session *silent;

    if (from->sessions < from->max)
        return true;
    silent = find_silent(from);
    if (silent)
        session_close(silent);
    else
        pause_rendezvous(from, true);
    return silent != NULL;
}

/* Takes fd. NULL with the errno of getsockopt(2) or epoll_ctl(2), or ENOMEM. */
static struct session *open_session(struct rendezvous *from, int fd)
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

static void on_rendezvous_ready(struct loop_fd *watch, uint32_t events)
{
    struct rendezvous *from = loop_container(watch, struct rendezvous, watch);

    (void)events;
    if (!make_room(from))
        return;
    int fd = accept4(watch->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
        if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
            rest();
        return;
    }
    struct session *session = open_session(from, fd);
    if (session)
        on_session_ready(&session->watch, EPOLLIN);
}

bool session_open_lasting(enum session_door door, int fd)
{
    struct session *session = open_session(&rendezvous[door], fd);

    if (!session)
        return false;
    session->lasts = true;
    session->has_spoken = true; /* it makes no room for others */
    loop_stop_timer(&session->deadline);
    return true;
}

unsigned session_count_claims(unsigned slot)
{
    const struct session *session;
    unsigned count = 0;

    TAILQ_FOREACH(session, &sessions, all)
        count += (session->state == SESSION_RESERVED || session->state == SESSION_PARKED) &&
                 session->claim_slot == slot;
    return count;
}

int session_rendezvous_fd(enum session_door door)
{
    return rendezvous[door].watch.fd;
}

enum session_door session_door(const struct session *session)
{
    return (enum session_door)(session->from - rendezvous);
}

const char *session_rendezvous_name(void)
{
    static char name[sizeof((struct sockaddr_un *)0)->sun_path];
    struct sockaddr_un addr = {.sun_family = AF_UNSPEC};
    socklen_t len = sizeof addr;

    memset(name, 0, sizeof name);
    if (getsockname(session_rendezvous_fd(SESSION_DOOR_NAME), (struct sockaddr *)&addr, &len) ==
            0 &&
        addr.sun_family == AF_UNIX && len > offsetof(struct sockaddr_un, sun_path) + 1)
        memcpy(name, addr.sun_path + 1, len - offsetof(struct sockaddr_un, sun_path) - 1);
    return name;
}

void session_init(session_handler *handler, session_text_handler *text_handler)
{
    handle = handler;
    handle_text = text_handler;
}

int session_listen(enum session_door door, int fd)
{
    struct rendezvous *at = &rendezvous[door];
    int off = 0;

    at->watch = (struct loop_fd){fd, on_rendezvous_ready};
    /* What is accepted inherits it (since Linux 6.16). */
    at->refuses_fds =
        at->is_text && setsockopt(fd, SOL_SOCKET, SO_PASSRIGHTS, &off, sizeof off) == 0;
    journal_touch();
    return loop_add(&at->watch, EPOLLIN);
}
