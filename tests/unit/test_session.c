/* test_session.c - broker/pool/session/session.c: a session that closes may close others, also in
 * the middle of a walk over all of them. */
#include "broker/pool/session/session.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

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

int main(void)
{
    session_init(refuse, refuse_text);
    CHECK(loop_init() == 0);
    unit_run("an answer that closes a session also has those retried that wait", test_settled);
    unit_run("each question that waits is asked once, whatever closes meanwhile", test_parked);
    return unit_end();
}
