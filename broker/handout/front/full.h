/*
 * full.h - --when-full: what a client is told that no worker could take in time, and the stage in
 * which it reads that. Its connection is closed by FIN after the client has closed its own side, or
 * has had its time: what it sends meanwhile is read, since a close with unread bytes would be a
 * reset, which takes the answer away from the client.
 */
#ifndef SSHIM_BROKER_HANDOUT_FRONT_FULL_H
#define SSHIM_BROKER_HANDOUT_FRONT_FULL_H

#include <stdbool.h>

#include "broker/base/options.h"
#include "broker/handout/front/held.h"

#define FULL_ANSWER_MAX 8192 /* bytes, so that one send(2) takes all of it */
#define FULL_LINGER_MS 2000  /* the client's time to read */

/* Whether a connection ever waits too long. */
bool full_is_asked_for(void);

/* Reads this file of --when-full; NULL: none is asked for. False: the fault names it; the answer
 * that was read before stays. */
bool full_read(const char *path, struct option_fault *fault);

/* Sends the answer without blocking and shuts the connection fd (borrows) for sending. False: there
 * is no answer to send, or the client takes none. */
bool full_answer(int fd);

/* A look of stages.c at a connection that was answered. */
struct held_look full_look(struct held *held, uint32_t events);

#endif
