/* session_answer.c - see session.h: an answer is text, sent as the peer reads it. */
#include "broker/pool/session/session.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/base/journal.h"

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

void session_tell(struct session *session)
{
    if (!send_rest(session))
        end_answer(session);
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
    if (text)
        session_tell(session);
    else
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
