/*
 * rehearsal.h - before an upgrade the new program is asked whether it could go on from here: it is
 * run as `sshim rehearse OPTIONS OF RUN` with the journal as REHEARSAL_FD, reads options and
 * journal as it would after exec, changes nothing, and prints REHEARSAL_LINE.
 */
#ifndef SSHIM_BROKER_OPERATE_REHEARSAL_H
#define SSHIM_BROKER_OPERATE_REHEARSAL_H

#include <signal.h>
#include <stdbool.h>

#define REHEARSAL_COMMAND "rehearse"
#define REHEARSAL_FD 3
#define REHEARSAL_LINE "sshim can go on from here"

/* Gives deputy.h what its new process does. */
void rehearsal_init(void);

/*
 * Asks resume_program(), which is called with resume_arguments(). on_end hears what it said: NULL,
 * it could, or why it could not, to be read after "cannot upgrade to PROGRAM: ". 0, or an errno of
 * fork(2) or pipe2(2).
 */
int rehearsal_start(void (*on_end)(const char *failure));

/* children: a child has ended, as waitid(2) tells. Whether it was the rehearsal. */
bool rehearsal_on_child_end(const siginfo_t *info);

#endif
