/*
 * session.h - connections to the rendezvous sockets: workers with a request, operators with a
 * command. Every byte is treated as hostile; a bad peer loses its connection and nothing else
 * happens.
 */
#ifndef SSHIM_BROKER_POOL_SESSION_SESSION_H
#define SSHIM_BROKER_POOL_SESSION_SESSION_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "broker/base/loop.h"
#include "broker/pool/listener.h"
#include "broker/base/process/budget.h"
#include "broker/pool/session/door.h"
#include "broker/pool/session/line.h"
#include "proto/wire.h"

/* Of the sessions of one door, so many in which one worker is claiming a path; and as many that
 * wait until it has a share of our time again. */
#define SESSION_CLAIMS_MAX 64
/* A peer that says nothing for this long is dropped. */
#define SESSION_DEADLINE_MS 10000

/* The state of a link; the table in operate/request.c says which messages it may send then. */
#define SESSION_STATES(X)                                                                          \
    X(NEW)      /* nothing that it asked goes on */                                                \
    X(RESERVED) /* its peer is about to bind or to remove a path */                                \
    X(PARKED)   /* its question waits until another peer has done so, or for closer.h */           \
    X(SETTLING) /* its answer waits until what it and others had is closed, see closer.h */        \
    X(AWAITING) /* its command takes time */                                                       \
    X(TELLING)  /* it has not read the whole answer yet, and is not read from */

enum session_state {
#define X(name) SESSION_##name,
    SESSION_STATES(X)
#undef X
};

/* Writes what comes next, at most SESSION_PIECE_MAX bytes with a zero behind, and gives its length;
 * 0: nothing now. */
#define SESSION_PIECE_MAX WIRE_TEXT_MAX
struct session;
typedef size_t session_source(struct session *session, char *text);

/* How the messages of workers begin. */
struct session_start {
    struct wire_head head;
    struct wire_auth auth;
};
static_assert(offsetof(struct wire_claim, auth) == sizeof(struct wire_head), "where CLAIM has it");
static_assert(offsetof(struct wire_attach, auth) == sizeof(struct wire_head), "and ATTACH");
static_assert(offsetof(struct wire_proxied, auth) == sizeof(struct wire_head), "and PROXIED");

/* Written by the files of this folder, but for claim_slot. */
struct session {
    struct loop_fd watch; /* .fd keeps */
    struct door *from;
    enum session_state state;
    bool has_spoken;
    bool is_paid;        /* by the worker that has asked here */
    unsigned claim_slot; /* share/claim.c: whose claim it is about, if it is reserved or parked */
    struct loop_timer deadline;
    struct budget_waiter waits; /* its worker has used up its share, and it is not read from */
    struct ucred peer;
    struct line line;          /* text: what has come */
    bool tells_exit_code;      /* text: "exit N" ends the answer */
    bool lasts;                /* text: after the answer the next line may come */
    struct listener *reserved; /* RESERVED: the path */
    union {
        struct wire_claim claim;
        struct wire_attach attach;
    } parked; /* PARKED: what it asks */
    enum wire_type parked_type;
    int claim_fd;             /* keeps; what came with it */
    unsigned settled;         /* how often its question has waited for closer.h */
    struct wire_grant answer; /* SETTLING */
    char *text;               /* TELLING: what is still to be sent, in pieces */
    size_t text_len, text_sent;
    int exit_code;
    session_source *more; /* TELLING: gives the next piece; NULL: there is none */
    void (*on_close)(struct session *session); /* AWAITING; NULL: no other part keeps it */
    TAILQ_ENTRY(session) all;
};

TAILQ_HEAD(session_queue, session);
extern struct session_queue sessions; /* all, oldest first; for the files of this folder */

/* What a peer asks: a whole message of this type and its descriptor (takes, -1 for none). False:
 * the session is over. */
typedef bool session_handler(struct session *session, const void *message, int type, int fd);

/* The same as text; the line has ended. */
typedef bool session_text_handler(struct session *session, const char *line);

/* Sets the functions that answer. */
void session_init(session_handler *handler, session_text_handler *text_handler);

/* Watches a listening socket (takes): SOCK_SEQPACKET for messages, SOCK_STREAM for text. 0, or -1
 * with the errno of epoll_ctl(2). */
int session_listen(enum door_name name, int fd);

/* A session on a connected socket (takes), as if its peer had come in at this door of text. It may
 * ask any number of times, one line after the other. False with the errno of epoll_ctl(2). */
bool session_open_lasting(enum door_name name, int fd);

/* Whether its peer is neither root nor the broker's user. */
bool session_is_stranger(const struct session *session);

/* Sends a message with fd (borrowed, -1 for none). False: the peer is gone or does not read; close
 * the session. */
bool session_send(struct session *session, const void *message, size_t len_bytes, int fd);

/* Sends text (takes, malloc) and then the result, and closes the session; never blocks, goes on as
 * the peer reads. NULL, where memory is out: closes it at once. */
void session_send_text(struct session *session, char *text, size_t len, int exit_code);

/* The same with a short text. on_close is not called any more. */
__attribute__((format(printf, 3, 4))) void session_answer(struct session *session, int exit_code,
                                                          const char *format, ...);

/* The answer comes later, or with the end of the broker: no deadline. on_close (NULL: none) is
 * called if the session ends before. */
void session_await(struct session *session, void (*on_close)(struct session *session));

/* Sends what more gives, as the peer reads it, until it hangs up; then, or where memory is out, at
 * once, on_close is called. push: there is more now. May close the session. */
void session_follow(struct session *session, session_source *more,
                    void (*on_close)(struct session *session));
void session_push(struct session *session);

/* This listener, which has no socket yet, ends with the session unless it is taken back. */
void session_reserve(struct session *session, struct listener *listener);
struct listener *session_take_reserved(struct session *session);

/* Keeps the question (CLAIM or ATTACH) of this slot's worker and its fd (takes) until
 * session_retry_parked(). */
void session_park(struct session *session, unsigned slot, enum wire_type type, const void *message,
                  int fd);

/* Whether a question of this slot, on this link, may be parked until session_on_settled(). */
bool session_may_settle(const struct session *session, unsigned slot);

/* Sends the answer when what was passed to closer.h is closed. Whether the session goes on until
 * then: else it was sent, or cannot be. */
bool session_send_settled(struct session *session, const struct wire_grant *answer);

/* For closer_init(). */
void session_on_settled(void);

void session_close(struct session *session);

/* How many links have a reservation of this slot, or are parked for it. */
unsigned session_count_claims(unsigned slot);

/* For the files of this folder. Has the message (with fd, takes) or the line answered; closes the
 * session if it is over. tell: goes on with the answer. */
void session_handle(struct session *session, const void *message, int type, int fd);
void session_handle_text(struct session *session, const char *line);
void session_tell(struct session *session);

/* A reservation has ended: claims that were parked for this address are looked at again. */
void session_retry_parked(void);

#endif
