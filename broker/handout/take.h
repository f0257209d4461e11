/*
 * take.h - takes the next connection to hand out: the one that could not be sent, then offers whose
 * worker does not take them, then the backlog, or where there is a front what is complete there.
 */
#ifndef SSHIM_BROKER_HANDOUT_TAKE_H
#define SSHIM_BROKER_HANDOUT_TAKE_H

#include <stdbool.h>

#include "broker/pool/listener.h"
#include "proto/wire.h"

enum take {
    TAKE_NONE,  /* nothing waits */
    TAKE_DONE,  /* one connection was taken */
    TAKE_SHORT, /* the system is short of something, see errno; no connection is lost */
    TAKE_SLEPT, /* accept4 slept until it was interrupted, see turn.h; no connection is lost */
};

struct take_connection {
    int fd;
    struct wire_offer offer;
};

/* Whether the worker has announced its offer to the program, see BOARD_ANNOUNCED, and may still
 * accept it: for fifty times --accept-timeout no other worker gets it. */
bool take_must_leave(const struct channel *channel, int64_t now_ms);

/* Accepts the oldest connection of the kernel's queue; gives connection->fd with TAKE_DONE. */
enum take take_from_backlog(struct listener *listener, bool nonblock,
                            struct take_connection *connection);

/* Takes the oldest waiting connection, as the channel's worker wants it; gives connection->fd with
 * TAKE_DONE. */
enum take take_next(struct listener *listener, const struct channel *channel,
                    struct take_connection *connection);

/* Takes a connection that was in hand, or offered to a worker that does not take it, since before
 * that time (loop_now_ms()); gives connection->fd. False: there is none. */
bool take_older(struct listener *listener, int64_t before_ms, struct take_connection *connection);

/* Keeps a connection (takes its fd) that could not be passed on; it is the next one that take_next
 * gives. */
void take_hold(struct listener *listener, const struct take_connection *connection);

/* The caller has passed on what is held (takes its fd). */
void take_end_hold(struct listener *listener);

/* No worker will come for the held connection: resets it, as the kernel does with queued ones. */
void take_finish(struct listener *listener);

#endif
