/*
 * revive.h - a worker has shut the canonical socket down, which shuts it for all. The kernel does
 * not say which process did it; if only one worker listens there, the message names it.
 */
#ifndef SSHIM_BROKER_HANDOUT_CANONICAL_REVIVE_H
#define SSHIM_BROKER_HANDOUT_CANONICAL_REVIVE_H

#include "broker/pool/listener.h"

/*
 * The canonical socket hangs up. TCP listens again: at once, but at most every 20 ms, so that a
 * worker that repeats the shutdown costs little; then listener_pump() is called. If the kernel
 * refuses (connections exist and SO_REUSEADDR was never set), that is tried until it succeeds.
 * AF_UNIX cannot listen again: the listener is given up, and its address is free for the next
 * worker that binds it. Returns whether it listens now.
 */
bool revive_listener(struct listener *listener);

/*
 * Whether a connection that was just accepted (borrows) is shut down in both directions though its
 * client has done nothing: a worker shut the listener between two steps of its revival. Such a
 * connection is useless; close it and revive the listener.
 */
bool revive_is_stillborn(int connection_fd);

/* Before the listener ends. */
void revive_finish(struct listener *listener);

#endif
