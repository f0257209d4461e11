/*
 * waiters.h - the operators' commands that asked for a restart. Each is answered when the restart
 * is over and the old workers have ended.
 */
#ifndef SSHIM_BROKER_LIFE_RESTART_WAITERS_H
#define SSHIM_BROKER_LIFE_RESTART_WAITERS_H

#include <stdbool.h>

#include "broker/pool/session/session.h"

#define WAITERS_TEXT_MAX 320 /* bytes of an answer, NUL included */

struct worker;

/* The session (NULL: none) waits for the restart that makes this generation; no_wait: not for the
 * old workers to end. news (NULL: none): lines that come first in its answer. False: memory is out.
 */
bool waiters_add(struct session *session, unsigned generation, bool no_wait, const char *news);

/* The restart is over: what all who wait for it are told; at_once: whatever the old workers do.
 * Whether any of them is a session. */
bool waiters_end(const char *text, int exit_code, bool at_once);

/* Answers those whose restart is over and whose old workers have ended. Whether any of them was a
 * session. */
bool waiters_answer(void);

/* Whether anybody waits. */
bool waiters_are_left(void);

/* A worker is about to leave: if it drained, its open connections are cut, and the answer says how
 * many. */
void waiters_on_old_end(const struct worker *worker);

#endif
