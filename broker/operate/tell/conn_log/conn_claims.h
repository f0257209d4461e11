/*
 * conn_claims.h - what follows from a worker's notes: it has taken a connection past us, or closed
 * one.
 *
 * A note of a close is believed where the kernel has confirmed the ones before, and the process has
 * had no child since it took the connection that could have it too. One of sixteen is confirmed all
 * the same. What a worker claims changes records of its own channel alone.
 */
#ifndef SSHIM_BROKER_OPERATE_TELL_CONN_LOG_CONN_CLAIMS_H
#define SSHIM_BROKER_OPERATE_TELL_CONN_LOG_CONN_CLAIMS_H

#include "broker/operate/tell/conn_log/conn_table.h"
#include "broker/pool/channel.h"

/* Reads the notes of a channel, at most so many; returns how many. */
unsigned conn_claims_read(struct channel *channel, unsigned at_most, int64_t now_ms);

/* The level of a new record: how often the kernel is asked at first. */
uint32_t conn_claims_level(const struct channel *channel);

/* The kernel has said whether a process has that connection. Before its record is removed. */
void conn_claims_learn(struct conn *conn, bool is_open);

#endif
