/*
 * revive.h - a canonical socket that a worker has shut down: it is shared, so it is shut for all.
 * Nobody can tell which process did it; where one worker alone listens there, it is named.
 */
#ifndef SSHIM_BROKER_HANDOUT_REVIVE_H
#define SSHIM_BROKER_HANDOUT_REVIVE_H

#include "broker/pool/listener.h"

/*
 * The canonical socket hangs up. TCP listens again: now, or, so that a worker that goes on with it
 * costs little, 20 ms after the last time; then listener_pump() is called. Where the kernel refuses
 * (connections exist and SO_REUSEADDR was never set) that is tried until it agrees. AF_UNIX cannot
 * listen again: the listener is given up, and its address is free for the next worker that binds
 * it. Returns whether it listens now.
 */
bool revive_listener(struct listener *listener);

/*
 * Whether a connection that was just accepted (borrows) is shut down in both directions though its
 * client has done nothing: a worker shut the listener between two steps of its revival. Nobody can
 * use such a connection; close it and revive the listener.
 */
bool revive_is_stillborn(int connection_fd);

/* Before the listener ends. */
void revive_finish(struct listener *listener);

#endif
