/*
 * hold.h - --hold: the stage in which a connection waits until what was asked for can be read. Only
 * peeks at the bytes of a stranger.
 */
#ifndef SSHIM_BROKER_HANDOUT_FRONT_HOLD_H
#define SSHIM_BROKER_HANDOUT_FRONT_HOLD_H

#include <stdbool.h>

#include "broker/base/config.h"
#include "broker/handout/front/held.h"

/* Has the kernel do what it can of it. */
void hold_prepare(const struct listener *listener);

/* Whether nobody is there any more who could send or receive something: the connection (borrows fd)
 * is reset, or its client sends no more and has sent nothing that is not read. */
bool hold_is_dead(int fd);

#define HOLD_BYTES_MAX 16384 /* bytes; more is complete, whatever it is */

/* Whether these first bytes are as much as the kind asks for, or cannot become that any more. Pure.
 */
bool hold_is_complete(enum config_hold kind, const uint8_t *bytes, size_t len);

/* A look of stages.c. What cannot be seen by peeking is not waited for: what follows urgent data
 * (tcp(7)) or descriptors (unix(7)), or does not come since a buffer is full. */
struct held_look hold_look(struct held *held, uint32_t events);

#endif
