/*
 * session.h - connections to the rendezvous sockets: workers with a request, operators with a
 * command. Every byte is treated as hostile; a bad peer loses its connection and nothing else
 * happens.
 */
#ifndef SSHIM_BROKER_POOL_SESSION_H
#define SSHIM_BROKER_POOL_SESSION_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "broker/base/loop.h"
#include "broker/pool/listener.h"
#include "proto/wire.h"

/*
 * At most this many connections at a time, by where they came in: the abstract name, which every
 * local user reaches, and the file, which only the broker's own does. A further one puts out the
 * oldest that has said nothing yet; where all have, it waits in the backlog.
 */
#define SESSION_WORKERS_MAX 448
#define SESSION_OPERATORS_MAX 64
/* Of these, so many in which one worker is in the middle of claiming a path. */
#define SESSION_CLAIMS_MAX 64
/* A peer that says nothing for this long is dropped. */
#define SESSION_DEADLINE_MS 10000

struct rendezvous;

struct session {
    struct loop_fd watch; /* .fd keeps */
    struct rendezvous *from;
    bool has_spoken;
    unsigned claim_slot; /* whose claim it is about, if it is reserved or parked */
    struct loop_timer deadline;
    struct ucred peer;
    struct listener *reserved; /* AF_UNIX path that this peer is about to bind or to remove */
    bool parked;               /* a claim that waits until another peer has done so */
    struct wire_claim claim;
    int claim_fd;       /* keeps; what came with the parked claim */
    bool waits_for_end; /* `sshim stop`: answered by the end of the broker */
    char *text;         /* what is still to be sent, in pieces */
    size_t text_len, text_sent;
    int exit_code;
    void (*on_close)(struct session *session); /* NULL: nobody else knows it */
    TAILQ_ENTRY(session) all;
};

TAILQ_HEAD(session_queue, session);

/* What a peer asks: a whole message of this type and its descriptor (takes, -1 for none). False:
 * the session is over. */
typedef bool session_handler(struct session *session, const void *message, int type, int fd);

/* Who answers, from now on. */
void session_init(session_handler *handler);

/* Watches a listening SOCK_SEQPACKET socket (takes). 0, or -1 with the errno of epoll_ctl(2). */
int session_listen(int rendezvous_fd);

/* The fd of the first or second socket given to session_listen, or -1. */
int session_rendezvous_fd(unsigned number);

/* The abstract name of the first one, without its leading zero; "" if it has none. */
const char *session_rendezvous_name(void);

/* Sends a message with fd (borrowed, -1 for none). False: the peer is gone or does not read; close
 * the session. */
bool session_send(struct session *session, const void *message, size_t len_bytes, int fd);

/* Sends text (takes, malloc) and then the result; never blocks, goes on as the peer reads. */
void session_send_text(struct session *session, char *text, size_t len, int exit_code);

/* The same with a short text. Whoever waited for its end (on_close) is told no more. */
__attribute__((format(printf, 3, 4))) void session_answer(struct session *session, int exit_code,
                                                          const char *format, ...);

void session_close(struct session *session);

/* How many links have a reservation of this slot, or are parked for it. */
unsigned session_count_claims(unsigned slot);

/* A reservation has ended: claims that were parked for this address are looked at again. */
void session_retry_parked(void);

#endif
