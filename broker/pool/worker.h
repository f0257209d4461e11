/*
 * worker.h - one copy of the server: a process tree that fills a slot, from its start to its end.
 * fleet.h decides what happens to the slot afterwards.
 */
#ifndef SSHIM_BROKER_POOL_WORKER_H
#define SSHIM_BROKER_POOL_WORKER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "broker/base/address.h"
#include "broker/base/broker.h"
#include "broker/base/loop.h"
#include "broker/base/process/budget.h"
#include "broker/pool/channel.h"
#include "proto/wire.h"

#define WORKER_STATES(X)                                                                           \
    X(STARTING, "starting") /* runs, listens on nothing that is shared yet */                      \
    X(READY, "ready")       /* takes connections */                                                \
    X(DRAINING, "draining") /* is to end: no new connections */                                    \
    X(GONE, "gone") /* its process has ended; its untaken offers are still to be handed out */

/* Why a worker ended. */
#define WORKER_ENDS(X)                                                                             \
    X(EXIT, "exit")         /* by itself, with status 0 */                                         \
    X(CRASH, "crash")       /* another status, or a signal of its own fault: SIGSEGV, SIGABRT */   \
    X(SIGNAL, "signal")     /* a signal that another process sent, or how is not known */          \
    X(OOM, "oom")           /* the kernel, for want of memory */                                   \
    X(RECYCLED, "recycled") /* replaced by a limit that the operator has set */                    \
    X(OPERATOR, "operator") /* replaced, scaled away or killed by a command */                     \
    X(STUCK, "stuck")       /* killed by --stuck-kill */

enum worker_end {
#define X(name, text) WORKER_END_##name,
    WORKER_ENDS(X)
#undef X
};
#define WORKER_ENDS_COUNT 7

/* Of one worker: as many as a server may have listeners (shim), and as many again that it has
 * closed and a process still holds. */
#define WORKER_CHANNELS_MAX 512

enum worker_state {
#define X(name, text) WORKER_##name,
    WORKER_STATES(X)
#undef X
};

/* What kept the program of a worker from running; life/launch/surroundings.h has the steps. */
struct launch_failure {
    int error; /* errno; 0: it runs */
    int step;  /* enum launch_step */
    int item;
};

struct worker {
    unsigned slot;
    enum worker_state state;
    pid_t pid;         /* the process that counts; moves on when a server daemonises */
    uint32_t birth;    /* procfs.h; of this process and of no later one; 0: not known */
    bool joined;       /* the broker did not start it: it has no token */
    bool stopped;      /* by SIGSTOP or a debugger */
    bool held;         /* the operator has drained its slot: it lives and gets no offer */
    bool kept_back;    /* it gets no offer before it is ready, see life/begin/readiness.h */
    bool has_listened; /* on something that is shared */
    bool has_asked;    /* its library, about some address: it is in front of the calls */
    uint8_t token[WIRE_TOKEN_SIZE];
    int64_t started_ms;
    int64_t ready_ms;
    struct launch_failure failure;
    int bind_error; /* errno of the last bind(2) that failed, 0: none */
    struct address bind_address;
    bool told_of_rights;       /* that it lacks one for an address, once */
    uint32_t told_of_ports;    /* rules of --port that its socket cannot follow, a bit each, once */
    unsigned told_of_binds;    /* how many that failed have been told */
    struct budget budget;      /* of our time, for what it sends */
    unsigned port_zero_claims; /* so far, for listener.ordinal */
    struct channel_list channels;
    uint64_t accepted;             /* by channels that are gone */
    bool accepted_at_port;         /* of them by one of a port */
    struct loop_timer start_timer; /* until it is ready; drain.c's afterwards */
    bool look_was_cut;             /* by the time that a turn has */
    unsigned missed_looks;         /* in a row at which it lacked the library, see start.c */
    unsigned generation;           /* the rolling restart that it was started by or after */
    bool settles;                  /* restart.c: it serves all that the old worker serves, since: */
    int64_t settles_from_ms;
    int64_t drain_ms;        /* when it began to drain */
    unsigned stop_timeout_s; /* of its drain, if a command said so; else CONFIG_NOT_GIVEN */
    unsigned looks_at_rest;
    enum worker_end asked_end; /* who has begun to end it; EXIT: nobody */
    bool starts_again;         /* we have ended it, to start it anew; it has not ended by itself */
    bool stuck;                /* watchdog.c has said so */
    int64_t moved_ms;     /* when it last showed a sign of life, as far as watchdog.c has looked */
    uint64_t seen_motion; /* worker_motion() then; with a filter, what its threads had done */
    int64_t looked_ms;    /* with a filter: when watchdog.c looked last, */
    bool sleeps;          /* and whether no thread had run since the time before */
    uint32_t number;      /* in the snapshot being written, see state_save.c */
    struct {
        bool is_told;                /* it has sent READY=1 */
        int64_t listened_ms;         /* when it first listened; 0: not yet */
        int64_t told_of_stranger_ms; /* when the log last said that another spoke for it */
        struct loop_timer timer;
        int socket_fd;          /* NOTIFY_SOCKET; keeps, -1: none */
        uint64_t number;        /* of that socket, for receiver.h */
        bool is_read;           /* by the process of receiver.h */
    } readiness;                /* written by life/begin/readiness.c */
    struct loop_fd pidfd_watch; /* of a process that is not our child; .fd keeps */
    struct loop_fd exec_watch;  /* the socket on which exec's failure is told; .fd keeps */
    LIST_ENTRY(worker) all;
};

LIST_HEAD(worker_list, worker);
extern struct worker_list workers;

const char *worker_state_name(enum worker_state state);
const char *worker_end_name(enum worker_end end);

/* A new worker for this slot, with a token of its own, in no process yet. NULL with errno ENOMEM.
 */
struct worker *worker_create(unsigned slot);

/* Fields that survive a crash of the broker are changed only by these functions. */
void worker_set_state(struct worker *worker, enum worker_state state);
void worker_set_slot(struct worker *worker, unsigned slot); /* of one that joined */
void worker_set_pid(struct worker *worker, pid_t pid);
void worker_set_new_pid(struct worker *worker, pid_t pid, uint32_t from); /* procfs_birth_since() */
void worker_set_stopped(struct worker *worker, bool stopped);
void worker_set_ready(struct worker *worker);
void worker_ask_end(struct worker *worker, enum worker_end why); /* the first reason counts */
void worker_set_stop_timeout(struct worker *worker, unsigned seconds);
void worker_set_held(struct worker *worker, bool held); /* slot.c: its slot is drained */
void worker_set_kept_back(struct worker *worker, bool kept_back);
unsigned worker_count_port_zero(struct worker *worker); /* one more; returns how many */
void worker_uncount_port_zero(struct worker *worker);   /* the last one came to nothing */

/* Watches the end of a process that is not our child. 0, or -1 with the errno of pidfd_open(2). */
int worker_watch_pid(struct worker *worker, void (*on_end)(struct loop_fd *watch, uint32_t events));

/* Whether its pid still belongs to its process, and not to a later one. */
bool worker_is_itself(const struct worker *worker);

/* Sends a signal to its process, if it has one. */
void worker_signal(const struct worker *worker, int number);

/* Tells all processes of the worker, also those that outlive it, to take nothing more: the end
 * of a channel is no death of the broker then. */
void worker_tell_over(struct worker *worker);

/* Its process has ended: gives its offers to others and frees it when the last one is given. */
void worker_bury(struct worker *worker);

/* take.h: a closed channel is empty now. May free the channel and the worker. */
void worker_on_channel_drained(struct channel *channel);

/* Closes one channel for good (the server closed its listener): its untaken offers go to other
 * workers. May free it, others that were closed before, and their worker once it is gone. */
void worker_close_channel(struct channel *channel);

/* Whether its calls are notified, and it accepts by itself: its open connections are not known. */
static inline bool worker_is_notified(const struct worker *worker)
{
    return runtime.intercept == INTERCEPT_SECCOMP && !worker->joined;
}

/* Whether it is told to take nothing, neither offers nor what is in the queue. */
static inline bool worker_is_shut_out(const struct worker *worker)
{
    return worker->state == WORKER_DRAINING || worker->held || worker->kept_back;
}

/* It may get connections again: gives it what waits. */
void worker_wake(struct worker *worker);

static inline unsigned worker_slot(const struct worker *worker)
{
    return worker->slot;
}

/* The worker whose token and slot these are, or NULL. Takes the same time for any token. */
struct worker *worker_find_by_token(const struct wire_auth *auth);
struct worker *worker_find_by_pid(pid_t pid);

/* Its channel on this listener that is not closed, or NULL. */
struct channel *worker_find_channel(const struct worker *worker, const struct listener *listener);

/* Whether one of its processes has the socket: also a closed channel is there as long as somebody
 * holds its end, as a program does that is still being executed. */
bool worker_holds(const struct worker *worker, const struct listener *listener);

/* Closed ones included. */
unsigned worker_count_channels(const struct worker *worker);

/* Sums over its channels, and of those that are gone. */
uint64_t worker_accepted(const struct worker *worker);
/* Whether any of them came to a port. */
bool worker_has_accepted_at_port(const struct worker *worker);
uint64_t worker_active(const struct worker *worker);

/* Whether it has no open connection, and no offer is on its way to it. */
bool worker_is_at_rest(const struct worker *worker);

/* Changes whenever it waits, accepts or closes something. */
uint64_t worker_motion(const struct worker *worker);

/* How long its open connections may last when it drains. */
int64_t worker_stop_timeout_ms(const struct worker *worker);

/* Whether it has closed every listener that it had. */
bool worker_has_left(const struct worker *worker);

/* Whether all its threads seem busy, or it holds offers that it does not take. */
bool worker_is_busy(const struct worker *worker);
bool worker_is_stuck(const struct worker *worker);

#endif
