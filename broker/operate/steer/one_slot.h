/*
 * one_slot.h - the operator's commands for one slot: drain, resume, kill. A drained slot stays so
 * until it is resumed, with any worker in it, also over the broker's death.
 */
#ifndef SSHIM_BROKER_OPERATE_STEER_ONE_SLOT_H
#define SSHIM_BROKER_OPERATE_STEER_ONE_SLOT_H

#include <stdbool.h>

#include "broker/base/config.h"
#include "broker/pool/session/session.h"

/* The slot that text names. NULL: there is none, which session has been answered. */
struct slot *one_slot_find(struct session *session, const char *text);

/* Commands: each answers session, drain when nothing is open in the slot any more or at the end of
 * --timeout. */
void one_slot_drain(struct session *session, const struct config_target *asked);
void one_slot_resume(struct session *session, const struct config_target *asked);
void one_slot_kill(struct session *session, const struct config_target *asked);

#endif
