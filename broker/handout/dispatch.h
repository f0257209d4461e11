/*
 * dispatch.h - the life of a connection in the broker: from the canonical socket, or from a channel
 * whose worker does not take it, to an idle worker. While no worker is idle, connections stay in
 * the kernel's backlog.
 *
 * Holds at most one connection per listener, and only while the kernel refuses to pass it on.
 */
#ifndef SSHIM_BROKER_HANDOUT_DISPATCH_H
#define SSHIM_BROKER_HANDOUT_DISPATCH_H

#include "broker/pool/channel.h"
#include "broker/handout/take.h"
#include "broker/pool/listener.h"

/* As listener_pump(). */
void dispatch_pump(struct listener *listener);

/* For listener_poll_init(): the canonical socket is readable or hangs up. For queue_init(). */
void dispatch_on_ready(struct loop_fd *watch, uint32_t events);
void dispatch_on_tick(struct loop_timer *tick);

/* A worker says that it is idle while connections wait. */
void dispatch_wake(struct channel *channel);

/* Sends a connection down this channel, whatever its worker does, and counts it. True: sent (takes
 * its fd). False with the errno of channel_send(): the caller keeps it, and the journal still names
 * it as in hand. */
bool dispatch_hand(struct channel *channel, const struct take_connection *connection,
                   int64_t now_ms);

/* Is called before each hand-over, and after it, if the kernel took it; a connection that is taken
 * back comes again. wait_ms: see waits_measure_ms(). */
typedef void dispatch_observer(struct channel *channel, const struct take_connection *connection,
                               int64_t wait_ms, bool is_sent);
void dispatch_set_observer(dispatch_observer *observer);

#endif
