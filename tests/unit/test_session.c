/* test_session.c - broker/pool/session: a session that closes may close others, also in the middle
 * of a walk over all of them. And what is not read of a worker beyond its share. */
#include "broker/pool/session/session.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "broker/pool/worker.h"
#include "unit.h"

#define REUSED 4

static unsigned handled;
static void *reused[REUSED];

static bool refuse(struct session *session, const void *message, int type, int fd)
{
    (void)session, (void)message, (void)type, (void)fd;
    handled++;
    return false;
}

static bool refuse_text(struct session *session, const char *line)
{
    (void)session, (void)line;
    return false;
}

/* As the end of a reservation does. What it frees is used by somebody else at once. */
static void retry(struct session *session)
{
    (void)session;
    session_retry_parked();
    for (unsigned i = 0; i < REUSED; i++) {
        reused[i] = malloc(sizeof *session);
        if (reused[i])
            memset(reused[i], 0x5a, sizeof *session);
    }
    for (unsigned i = 0; i < REUSED; i++)
        free(reused[i]);
}

static struct session *open_session(enum session_state state)
{
    int ends[2];
    struct session *session;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0 ||
        !session_open_lasting(DOOR_CONTROL, ends[0]))
        return NULL;
    close(ends[1]);
    session = TAILQ_LAST(&sessions, session_queue);
    session->state = state;
    session->parked_type = WIRE_CLAIM;
    session->claim_fd = -1;
    session->on_close = retry;
    return session;
}

static void test_settled(void)
{
    handled = 0;
    CHECK(open_session(SESSION_SETTLING) && open_session(SESSION_PARKED) &&
          open_session(SESSION_SETTLING));
    session_on_settled();
    CHECK(handled == 1);
    CHECK(TAILQ_EMPTY(&sessions));
}

static void test_parked(void)
{
    handled = 0;
    for (unsigned i = 0; i < 4; i++)
        CHECK(open_session(SESSION_PARKED));
    session_retry_parked();
    CHECK(handled == 4);
    CHECK(TAILQ_EMPTY(&sessions));
}

/* The broker has a turn. */
static int claim(const struct worker *worker, const struct sockaddr_un *name, socklen_t len)
{
    struct wire_attach attach = {.head = WIRE_HEAD(WIRE_ATTACH), .auth.slot = worker->slot};
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    memcpy(attach.auth.token, worker->token, sizeof attach.auth.token);
    CHECK(connect(fd, (const struct sockaddr *)name, len) == 0);
    CHECK(send(fd, &attach, sizeof attach, 0) == sizeof attach);
    loop_turn();
    return fd;
}

static void test_left(void)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    socklen_t len = sizeof name;
    struct worker *worker = worker_create(0);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    handled = 0;
    CHECK(bind(fd, (struct sockaddr *)&name, sizeof name.sun_family) == 0 && listen(fd, 8) == 0 &&
          getsockname(fd, (struct sockaddr *)&name, &len) == 0 &&
          session_listen(DOOR_NAME, fd) == 0);
    close(claim(worker, &name, len));
    CHECK(handled == 1);
    worker->budget.debt_us = INT32_MAX;
    int waits_fd = claim(worker, &name, len);
    close(claim(worker, &name, len));
    loop_turn();
    CHECK(handled == 1 && TAILQ_FIRST(&sessions) &&
          TAILQ_FIRST(&sessions) == TAILQ_LAST(&sessions, session_queue));
    worker->budget.debt_us = 0;
    budget_finish(&worker->budget);
    loop_turn();
    CHECK(handled == 2 && TAILQ_EMPTY(&sessions));
    close(waits_fd);
}

int main(void)
{
    session_init(refuse, refuse_text);
    CHECK(loop_init() == 0);
    unit_run("an answer that closes a session also has those retried that wait", test_settled);
    unit_run("each question that waits is asked once, whatever closes meanwhile", test_parked);
    unit_run("beyond its worker's share a link waits, and is not read if its peer has left",
             test_left);
    return unit_end();
}
