/* ending.h - tells the end of a worker: how, why, and what it took along. */
#ifndef SSHIM_BROKER_DIAGNOSE_ENDING_H
#define SSHIM_BROKER_DIAGNOSE_ENDING_H

#include <signal.h>
#include <stdint.h>

#include "broker/base/log.h"
#include "broker/pool/worker.h"

/* What is known while the worker is there. */
struct ending {
    unsigned slot;
    pid_t pid;
    enum worker_end end;
    int status;           /* exit status; -1: a signal, or not known */
    const char *signal;   /* without SIG; NULL: none, or not known */
    uint64_t connections; /* that were open */
    int64_t uptime_s;
    char how[256]; /* "was ended by signal 9 (Killed)" */
};

/* info as waitid(2) gives it, with si_code 0 if nobody could wait for it. how: NULL, or what is to
 * be said of it in place of that. */
void ending_note(struct ending *ending, const struct worker *worker, const siginfo_t *info,
                 enum worker_end end, const char *how);

/* The event worker_exit; next: what happens now, behind the message. */
void ending_tell(const struct ending *ending, enum log_level level, const char *next);

#endif
