/*
 * aside.h - has a helper process do what may block: whoever reads the memory or the program of a
 * process waits for the file system behind it, and that may be one of the process's own making
 * (FUSE). No signal but KILL ends such a wait.
 *
 * The broker waits for the answer, but not for a helper that sleeps: that one is killed, and
 * nothing is asked about the process again. If that happens again and again with one user, nothing
 * is asked about any process of that user for a while; and nothing while two helpers that were
 * killed for the user's processes have not ended: a wait for a mutex of the kernel ends with what
 * holds it.
 */
#ifndef SSHIM_BROKER_BASE_PROCESS_ASIDE_H
#define SSHIM_BROKER_BASE_PROCESS_ASIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define ASIDE_QUESTION_MAX 256
#define ASIDE_ANSWER_MAX 8192

/* Runs in the helper, a fork of this process as it was at the first question: what was changed
 * since is not known there. Gives what aside_ask() returns. */
typedef bool aside_work(const void *question, void *answer);

/*
 * Asks about a process. False: the work says so, no helper is to be had, it was asleep for longer
 * than 20 ms, or nothing is asked. About processes of the broker's own user the work is done at
 * once: there is no boundary; and a broker that is not root cannot look at others.
 */
bool aside_ask(aside_work *work, pid_t pid, const void *question, size_t question_size,
               void *answer, size_t answer_size);

/* Whether this is a helper that lives. */
bool aside_is_pid(pid_t pid);

/* Ends the helper; the next question has another one. */
void aside_stop(void);

#endif
