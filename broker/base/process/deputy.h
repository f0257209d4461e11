/*
 * deputy.h - starts processes in a session that is not the broker's, and with the rights that the
 * broker had at first.
 *
 * The deputy is a process that leads a session of its own. It knows the configuration, shares the
 * broker's table of descriptors, as the keeper does, and runs only what was set here, each in a new
 * process.
 *
 * It starts all workers. When a parent ends, the kernel sends SIGHUP to a process group in which a
 * process is stopped, if that was its last parent in the group's session and outside of the group:
 * see setpgid(2), kill_orphaned_pgrp() of Linux. The broker is a parent in another session. One
 * session for all workers, since the scheduler may take each for a group: sched(7), "The autogroup
 * feature". With one each, event loops with keep-alive answered 0.72 times as many requests
 * (tests/bench, keep-alive-epoll, two cores).
 *
 * Before the broker gives its rights up and filters its calls, it starts a deputy that does all of
 * this for it, and that cannot be replaced. Else it forks all but workers by itself. The first
 * worker begins a deputy then, and if that was killed, the next worker begins another one.
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

/* From now on the deputy forks all of this, until the broker ends. Its pid, or -1 with the errno of
 * mmap(2), socketpair(2) or clone(2). */
pid_t deputy_start(void);
bool deputy_does_all(void);

/*
 * A new process, a child of the broker (the keeper: of the deputy, if that does all) that has a
 * copy of the broker's descriptors. Its pid, or -1 with the errno of mmap(2), socketpair(2),
 * fork(2) or clone(2), or ECHILD if the deputy has ended before.
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

/* Ends it, for a while or before another program is executed. Not one that does all. */
void deputy_end(void);

#endif
