/*
 * slot.h - the places for copies, numbered from 0 and stable over restarts: which worker fills a
 * slot, which one is to take over, and the start of a worker for it. fleet.c decides what happens
 * when a worker ends, restart.c which worker replaces which.
 * tests/model/slot.pml checks these rows; a test compares both, and the functions that fill a slot:
 *
 *   - WORKER   | SUCCESSOR | EVENT               | THEN               | WHO IS TOLD
 *   - none     | none      | number is raised    | starting           | the asker, at the end
 *   - none     | none      | back-off is over    | starting           | nobody
 *   - starting | none      | it listens          | ready              | --ready-fd
 *   - any      | none      | it ends             | none, back-off     | the log
 *   - any      | starting  | it ends             | none, no back-off  | the log
 *   - any      | none      | turn in a restart   | a successor starts | nobody
 *   - any      | starting  | settled             | it is the worker   | the asker, at the end
 *   - any      | starting  | successor ends      | restart ends       | the asker: 1
 *   - any      | starting  | it served and ended | none, old drains   | the asker, at the end
 *   - none     | starting  | restart ends        | it is the worker   | the asker: 1
 *   - any      | any       | slot is given up    | none, both drain   | the asker, at the end
 *   - any      | any       | broker is killed    | the same           | the asker, by the next
 */
#ifndef SSHIM_BROKER_LIFE_SLOT_H
#define SSHIM_BROKER_LIFE_SLOT_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "broker/pool/worker.h"

struct slot {
    unsigned id;
    struct worker *worker;    /* NULL: waits to be started again, or to be joined */
    struct worker *successor; /* started by restart.c, takes over when it is ready */
    unsigned restarts;
    unsigned failures;                /* in a row: workers that ended without having served */
    bool reported;                    /* that its workers keep failing */
    bool has_ended;                   /* --once: its worker has ended, and nobody replaces it */
    bool held;                        /* drained by the operator: its worker gets no connections */
    uint64_t accepted;                /* by workers that are gone */
    unsigned ends[WORKER_ENDS_COUNT]; /* of its workers, by cause, since this broker began */
    struct loop_timer respawn;
};

/* on_ready is called after a worker became the ready worker of its slot, on_respawn when a worker
 * is due again in a slot. */
void slot_init(void (*on_ready)(struct slot *slot), void (*on_respawn)(struct loop_timer *timer));

/* A worker is due in it after this time, unless slot.respawn is stopped. */
void slot_respawn_after(struct slot *slot, int64_t delay_ms);

/* on_notify_fd is given the notification descriptor of each worker that has a filter. */
void slot_set_notify(void (*on_notify_fd)(const struct worker *worker, int fd));

unsigned slot_count(void);
struct slot *slot_at(unsigned id);

/* One more slot, empty. NULL with errno ENOMEM. */
struct slot *slot_add(void);

/* Which rolling restart the workers started from now on belong to; it only grows. */
unsigned slot_generation(void);
void slot_set_generation(unsigned generation);

/* Starts a worker for this slot; the caller puts it in its place. NULL with the errno of fork(2) or
 * socketpair(2). */
struct worker *slot_start_worker(struct slot *slot);

/* The process has ended, or its socket is readable: notes what failed before the
 * program ran, if anything did. */
void slot_read_exec_error(struct worker *worker);

/* The worker, which is starting, is the ready worker of its slot from now on. */
void slot_mark_ready(struct slot *slot, struct worker *worker);

/* Counts the end of this worker, as waitid(2) tells it, and says why it ended. */
enum worker_end slot_note_end(struct slot *slot, const struct worker *worker,
                              const siginfo_t *info);

/* --once: the worker of this slot has ended by itself, and nobody replaces it until a restart does.
 * It is over as well when a worker is started here. */
void slot_set_ended(struct slot *slot, bool ended);

/* Whether that is so for each slot that is to be filled. */
bool slot_all_ended(void);

/* What the broker ends with for them: 0, or the status of the first that failed, as a shell tells
 * it: 128 and the number of a signal; 1, where nobody could wait for it. */
int slot_failure_status(void);
void slot_set_failure_status(int status);

/* One of them ended like this, as waitid(2) tells. */
void slot_note_status(const siginfo_t *info);

/* Whether any worker was ever ready, here or under the broker before us; and sets that. */
bool slot_was_ever_ready(void);
void slot_note_ever_ready(void);

/* Whether the workers of this slot get no connections from now on. */
void slot_set_held(struct slot *slot, bool held);

/*
 * How many slots are to be filled: those below this number. The last change is in the journal with
 * the process that asked for it, which the next broker tells that it was made.
 */
struct slot_change {
    unsigned from, to;
    pid_t asker; /* 0: a signal asked, or there was none */
};
void slot_set_wanted(unsigned number, pid_t asker);
struct slot_change slot_last_change(void);
void slot_resume_change(const struct slot_change *change);

/* How many slots of those that are to be filled have a ready worker. */
unsigned slot_count_ready(void);

/* How many of those are drained by the operator. */
unsigned slot_count_held(void);

/* How many servers that joined fill the other slots. */
unsigned slot_count_joined(void);

/* How many slots have a worker, those of servers that joined included. */
unsigned slot_count_filled(void);

#endif
