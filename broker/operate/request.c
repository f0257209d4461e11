/* request.c - see request.h. */
#include "broker/operate/request.h"

#include <unistd.h>

#include "broker/base/log.h"
#include "broker/operate/control.h"
#include "broker/pool/closer.h"
#include "broker/share/claim/attach.h"
#include "broker/share/claim/claim.h"
#include "broker/share/grant.h"
#include "broker/share/look.h"

static bool answer_claim(struct session *session, const void *message, int fd)
{
    const struct wire_claim *claim = message;

    return claim->flags & WIRE_CLAIM_LOOK ? look_handle(session, claim, fd)
                                          : claim_handle(session, claim, fd);
}

static bool answer_attach(struct session *session, const void *message, int fd)
{
    return attach_handle(session, message, fd);
}

static bool answer_command(struct session *session, const void *message, int fd)
{
    (void)fd; /* none comes along, see WIRE_TYPES */
    return control_handle(session, message);
}

static bool answer_proxied(struct session *session, const void *message, int fd)
{
    const struct wire_proxied *proxied = message;

    (void)fd; /* none comes along */
    if (claim_may_ask(session, &proxied->auth))
        grant_send_proxied(session);
    return false;
}

/* The messages permitted on a link in each state, and the functions that answer. PROTOCOL.md has
 * the same table. */
#define REQUESTS(X)                                                                                \
    X(NEW, CLAIM, answer_claim)                                                                    \
    X(NEW, ATTACH, answer_attach)                                                                  \
    X(NEW, PROXIED, answer_proxied)                                                                \
    X(NEW, COMMAND, answer_command)                                                                \
    X(RESERVED, CLAIM, answer_claim)

static const struct request_row {
    enum session_state state;
    enum wire_type type;
    bool (*answer)(struct session *session, const void *message, int fd);
} rows[] = {
#define X(state, type, answer) {SESSION_##state, WIRE_##type, answer},
    REQUESTS(X)
#undef X
};

bool request_handle(struct session *session, const void *message, int type, int fd)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].state == session->state && (int)rows[i].type == type)
            return rows[i].answer(session, message, fd);
    log_debug("pid %d sent %s, which is not permitted now", (int)session->peer.pid,
              wire_type_name(type));
    closer_close(fd);
    return false;
}
