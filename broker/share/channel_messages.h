/* channel_messages.h - what a worker says on a channel: that it listens, is idle, has closed its
 * listener. */
#ifndef SSHIM_BROKER_SHARE_MAIL_H
#define SSHIM_BROKER_SHARE_MAIL_H

#include "broker/pool/channel.h"

/* A channel that is complete: reads its mail, and enters it with its listener and worker. 0, or -1
 * with errno. */
int channel_messages_watch(struct channel *channel);

/* The worker listens, by this backlog of its program. May free the channel. */
void channel_messages_on_listen(struct channel *channel, int backlog);

/* Reads what the worker has said so far, before a later question of it is answered. Frees the
 * channels that it has closed. */
void channel_messages_read_waiting(struct worker *worker);

#endif
