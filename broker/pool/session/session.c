/* session.c - see session.h: the record of a session, and its end. session_receive.c opens it,
 * session_answer.c tells its peer. */
#include "broker/pool/session/session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/base/broker.h"
#include "broker/base/journal.h"
#include "broker/base/turn.h"
#include "broker/pool/closer.h"
#include "broker/pool/worker.h"
#include "proto/fdpass.h"

#define SETTLED_MAX 4
#define LINK_US 30 /* of our time, besides what is asked by it; 20 where nothing was sent */

struct session_queue sessions = TAILQ_HEAD_INITIALIZER(sessions);
static session_handler *handle;
static session_text_handler *handle_text;
static struct {
    bool is_under_way; /* over all sessions */
    bool retries;      /* the parked ones, after it */
} walk;

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
    budget_leave(&session->waits);
    loop_remove(&session->watch);
    loop_stop_timer(&session->deadline);
    close_link(session);
    if (!session->is_paid && session_is_stranger(session))
        door_pay(session->from, LINK_US);
    closer_close(session->claim_fd);
    free(session->text);
    TAILQ_REMOVE(&sessions, session, all);
    struct listener *reserved = session->reserved;
    session->from->sessions--;
    door_pause(session->from, false);
    free(session);
    if (reserved) {
        listener_destroy(reserved);
        session_retry_parked();
    }
}

/* A worker's message is done in its share of our time. */
void session_handle(struct session *session, const void *message, int type, int fd)
{
    const struct session_start *start = message;
    bool is_workers = type == WIRE_CLAIM || type == WIRE_ATTACH || type == WIRE_PROXIED;
    struct worker *worker = is_workers ? worker_find_by_token(&start->auth) : NULL;
    session->is_paid = worker != NULL;
    int64_t begin_us = worker ? turn_read_us(CLOCK_THREAD_CPUTIME_ID) : 0;

    budget_begin(worker ? &worker->budget : NULL);
    if (!handle(session, message, type, fd))
        session_close(session);
    budget_end(worker ? turn_read_us(CLOCK_THREAD_CPUTIME_ID) - begin_us + LINK_US : 0);
}

void session_handle_text(struct session *session, const char *line)
{
    if (!handle_text(session, line))
        session_close(session);
}

static void retry_each(void)
{
    struct session *session = TAILQ_FIRST(&sessions);

    while (session) {
        struct session *next = TAILQ_NEXT(session, all);
        if (session->state == SESSION_PARKED) {
            int fd = session->claim_fd;
            session->state = SESSION_NEW;
            session->claim_fd = -1;
            session_handle(session, &session->parked, session->parked_type, fd);
        }
        session = next;
    }
}

/* A session that closes may end a reservation, and others are retried. Not within a walk over all:
 * it would close the one that the walk comes to next. */
void session_retry_parked(void)
{
    if (walk.is_under_way) {
        walk.retries = true;
        return;
    }
    walk.is_under_way = true;
    do {
        walk.retries = false;
        retry_each();
    } while (walk.retries);
    walk.is_under_way = false;
}

bool session_send(struct session *session, const void *message, size_t len_bytes, int fd)
{
    journal_save_now();
    return fdpass_send(session->watch.fd, message, len_bytes, fd, MSG_DONTWAIT) == 0;
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

void session_park(struct session *session, unsigned slot, enum wire_type type, const void *message,
                  int fd)
{
    session->state = SESSION_PARKED;
    session->claim_slot = slot;
    session->parked_type = type;
    memmove(&session->parked, message,
            type == WIRE_ATTACH ? sizeof session->parked.attach : sizeof session->parked.claim);
    session->claim_fd = fd;
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

/* What is closed meanwhile for others, without end, must not keep a claim from its answer. */
bool session_may_settle(const struct session *session, unsigned slot)
{
    return session->settled < SETTLED_MAX && session_count_claims(slot) < SESSION_CLAIMS_MAX;
}

bool session_send_settled(struct session *session, const struct wire_grant *answer)
{
    if (closer_is_settled()) {
        session_send(session, answer, sizeof *answer, -1);
        return false;
    }
    session->state = SESSION_SETTLING;
    session->answer = *answer;
    return true;
}

void session_on_settled(void)
{
    struct session *session = TAILQ_FIRST(&sessions);

    walk.is_under_way = true;
    while (session) {
        struct session *next = TAILQ_NEXT(session, all);
        session->settled += session->state == SESSION_PARKED;
        if (session->state == SESSION_SETTLING) {
            session_send(session, &session->answer, sizeof session->answer, -1);
            session_close(session);
        }
        session = next;
    }
    walk.is_under_way = false;
    session_retry_parked();
}

void session_init(session_handler *handler, session_text_handler *text_handler)
{
    handle = handler;
    handle_text = text_handler;
}
