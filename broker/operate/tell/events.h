/*
 * events.h - `sshim events`: what has happened, a JSON document a line. The last RING_LINES are
 * kept and survive the broker. A follower that reads too slowly loses lines, and is told how many.
 */
#ifndef SSHIM_BROKER_OPERATE_TELL_EVENTS_H
#define SSHIM_BROKER_OPERATE_TELL_EVENTS_H

#include "broker/base/config.h"
#include "broker/base/log.h"
#include "broker/pool/session/session.h"

#define EVENTS_FOLLOWERS_MAX 16

/* For log_set_observer(): keeps the event and tells the followers. */
void events_add(const struct log_record *record);

/* Answers with the lines that there are, after the number that is asked for; with --follow also
 * with those to come, until the peer hangs up. */
void events_tell(struct session *session, const struct config_target *asked);

#endif
