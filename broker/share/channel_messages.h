/* channel_messages.h - the messages of a worker on a channel: LISTEN, WAKE, NOTES, CLOSE. */
#ifndef SSHIM_BROKER_SHARE_CHANNEL_MESSAGES_H
#define SSHIM_BROKER_SHARE_CHANNEL_MESSAGES_H

#include "broker/pool/channel.h"

/* A complete channel: watches its messages, and enters it with its listener and worker. 0, or -1
 * with errno. */
int channel_messages_watch(struct channel *channel);

/* The worker listens, by this backlog of its program. May free the channel. */
void channel_messages_on_listen(struct channel *channel, int backlog);

/* The broker before has read LISTEN and was killed before that was in its journal: the scoreboard
 * tells. */
void channel_messages_resume(struct worker *worker);

/* Reads the worker's messages so far, before a later request of it is answered. Frees the channels
 * that it has closed. */
void channel_messages_read_waiting(struct worker *worker);

#endif
