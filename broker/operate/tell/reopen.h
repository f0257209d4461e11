/* reopen.h - opens log files anew after they were moved away. */
#ifndef SSHIM_BROKER_OPERATE_TELL_REOPEN_H
#define SSHIM_BROKER_OPERATE_TELL_REOPEN_H

#include <stddef.h>

#define REOPEN_TEXT_MAX 1024

/* For `sshim reopen` and USR1: opens them, and logs what was done. text is the same, as an answer.
 * Gives the exit code of the command: 1 if one cannot be opened, which goes on as it was. */
int reopen_logs(char *text, size_t size);

#endif
