/*
 * recount.h - after a crash of the broker: counts the offers in each channel, and finds out what
 * became of the connection in hand. The channels are the truth: they are emptied, counted and
 * filled again.
 */
#ifndef SSHIM_BROKER_SURVIVE_RECOUNT_H
#define SSHIM_BROKER_SURVIVE_RECOUNT_H

#include "broker/pool/channel.h"

/* The connections that were open in the dead broker and are in no record; borrowed, until all of
 * them have been rescued. Call first. */
void recount_begin(const int *fds, int count);

/* Empties this channel into our hands and sets its counters by what is left. */
void recount_channel(struct channel *channel);

/* Puts everything back into the channels it came from. */
void recount_finish(void);

/*
 * A connection that was open in the dead broker and in no record (takes fd): goes to its listener's
 * next worker, unless it had been sent already. Call after recount_finish.
 */
void recount_rescue(int fd);

#endif
