/*
 * deputy.h - starts processes with the rights that the broker had at first.
 *
 * The deputy is a process that the broker starts before it gives its rights up and filters its
 * calls. It knows the configuration, shares the broker's table of descriptors, as the keeper does,
 * and runs only what was set here, each in a new process. Without a deputy the broker forks by
 * itself.
 */
#ifndef SSHIM_BROKER_BASE_PROCESS_DEPUTY_H
#define SSHIM_BROKER_BASE_PROCESS_DEPUTY_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum deputy_errand {
    DEPUTY_WORKER,    /* life/launch/spawn.c */
    DEPUTY_COMMAND,   /* of --on-event; life/launch/spawn.c */
    DEPUTY_REHEARSAL, /* operate/rehearsal.c */
    DEPUTY_REMOVAL,   /* of a socket file; pool/path.c */
    DEPUTY_METRICS,   /* operate/tell/metrics.c */
    DEPUTY_GUARD,     /* process/guard.c */
    DEPUTY_LEAVE,     /* removes the control sockets; operate/run.c */
    DEPUTY_KEEPER,    /* survive/keeper.c; shares the descriptors, and no SIGCHLD reports its end */
    DEPUTY_RELOAD,    /* in the deputy itself; operate/steer/reload.c */
    DEPUTY_ERRANDS
};

#define DEPUTY_ORDER_MAX 1024

/* What a new process does; it does not return. order: a copy, in which descriptors have the
 * broker's numbers. */
typedef void deputy_run(const void *order);
void deputy_set(enum deputy_errand errand, deputy_run *run);

/* From now on the deputy forks, until the broker ends. Its pid, or -1 with the errno of
 * socketpair(2) or fork(2). */
pid_t deputy_start(void);

/*
 * A new process, a child of the broker (the keeper: of the deputy) that has a copy of the broker's
 * descriptors. Its pid, or -1 with the errno of fork(2), or ECHILD if the deputy has ended.
 */
pid_t deputy_fork(enum deputy_errand errand, const void *order, size_t size);

/* Has the deputy itself read the options again, from where it has them: not from us. False: it
 * could not, or has ended. True without a deputy. The function is reached by deputy_set_reload().
 */
bool deputy_reload(void);
void deputy_set_reload(bool (*reload)(void));

bool deputy_runs(void);
bool deputy_is_pid(pid_t pid);

/* Whether it was the deputy's: there is none any more. */
bool deputy_on_child_end(pid_t pid);

#endif
