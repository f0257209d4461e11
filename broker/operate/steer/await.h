/*
 * await.h - an operator's command that is answered when it is done: looks every 20 ms whether it
 * is. The command says at what.
 */
#ifndef SSHIM_BROKER_OPERATE_STEER_AWAIT_H
#define SSHIM_BROKER_OPERATE_STEER_AWAIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "broker/pool/session/session.h"

/* Looks in a row that must find no open connection: counters lag behind the calls. */
#define AWAIT_LOOKS_AT_REST 3

struct await {
    struct session *session; /* NULL: it is gone, or a signal asked */
    bool no_wait;            /* is answered at the first look */
    int64_t begun_ms;
    char text[320]; /* the answer, a line or more */
    int exit_code;
    /* Whether it is over; text and exit_code are the answer then. */
    bool (*is_over)(struct await *await);
    /* For is_over. */
    unsigned from, to;
    uint64_t cut;
    unsigned looks_at_rest;
    int64_t deadline_ms; /* after begun_ms */
    TAILQ_ENTRY(await) all;
};

TAILQ_HEAD(await_queue, await);
extern struct await_queue awaits;

/*
 * Answers session (borrowed until then; NULL: only logs) as soon as like->is_over() says so; copies
 * *like. Logs the answer. False with errno ENOMEM: it does not wait.
 */
bool await_begin(const struct await *like);

/* The end of the waiting: this answer. For is_over. */
__attribute__((format(printf, 3, 4))) bool await_end(struct await *await, int exit_code,
                                                     const char *format, ...);

#endif
