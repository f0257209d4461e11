/*
 * snapshot.h - the records of the snapshot in the journal, in the order in which they are there:
 * one head, then so many of each. Another program may have written them.
 *
 * The head says how long each record is, so a version may add fields at the end of a record: a
 * reader of an older snapshot finds 0 there, and 0 has to be right. Any other change needs a new
 * SNAPSHOT_FORMAT, and the program must read the formats before as well. Format 0 has no sizes in
 * the head; before format 2 no board had notes behind its page, for which a reader looks at its
 * size.
 */
#ifndef SSHIM_BROKER_SURVIVE_SNAPSHOT_H
#define SSHIM_BROKER_SURVIVE_SNAPSHOT_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#include "broker/base/address.h"
#include "broker/life/launch/output.h"
#include "broker/life/restart.h"
#include "broker/base/cidr.h"
#include "broker/pool/path.h"
#include "proto/wire.h"

#define SNAPSHOT_FORMAT 2

#define SNAPSHOT_SIZE "a record of the snapshot has changed: see the head of this file"

enum state_kind {
    STATE_HEAD,
    STATE_SLOT,
    STATE_WORKER,
    STATE_LISTENER,
    STATE_CHANNEL,
    STATE_DEPARTED,
    STATE_RULE
};
#define STATE_KINDS 7
#define STATE_KINDS_MAX 8 /* how many of them the head may ever have */

struct state_head {
    uint32_t slots, workers, listeners, channels;
    int32_t rendezvous_fds[2];
    uint32_t direct; /* --handoff direct */
    uint32_t stopping;
    uint32_t generation;                     /* of workers, see slot.h */
    uint16_t restart_parallel, restart_only; /* that slot and 1; 0: all */
    uint32_t restart_again;
    uint16_t scaled_to, scaled_from; /* workers wanted, and --workers; 0: as --workers says */
    /* From format 1 on. */
    uint32_t sizes[STATE_KINDS_MAX]; /* by enum state_kind */
    int32_t notices_fd; /* of workers with a filter, see notify.h; 0: the library is preloaded */
    uint32_t departed;
    int32_t text_fds[2];  /* control, --control-ro; 0: none */
    int32_t metrics_fd;   /* 0: none */
    int32_t events_fd;    /* see ring.h; 0: none */
    int32_t change_asker; /* the last change of the number of workers, see slot.h */
    uint16_t change_from, change_to;
    int32_t lines_fd, lines_pid;   /* see output.h; 0: none */
    uint32_t restart_stop_timeout; /* in seconds, and 1; 0: as ever */
    uint32_t rules;                /* records of that kind; the next begin at a multiple of 8 */
    struct restart_result restart_result;
    uint32_t restart_recycles;
    uint32_t failure_status;   /* --once, see slot_failure_status() */
    uint32_t knows_data_ports; /* see retire.h */
    uint32_t reserved;
};
static_assert(sizeof(struct state_head) == 152, SNAPSHOT_SIZE);

struct state_slot {
    uint32_t restarts;
    uint16_t failures;
    uint16_t held; /* drained by the operator */
    uint64_t accepted;
    struct output_fds output;
    uint32_t has_ended; /* see slot.h */
    uint32_t reserved;
};
static_assert(sizeof(struct state_slot) == 40, SNAPSHOT_SIZE);

enum state_role { ROLE_CURRENT, ROLE_OTHER, ROLE_SUCCESSOR };

struct state_worker {
    uint32_t slot, state, role, joined, stopped, port_zero_claims;
    int32_t pid;
    uint32_t generation; /* the rolling restart that it was started by or after */
    uint8_t token[WIRE_TOKEN_SIZE];
    uint64_t accepted;
    int64_t started_ms, ready_ms; /* as if no process had been suspended until it was written */
    uint64_t birth;               /* procfs_birth() of pid */
    int64_t drain_ms;             /* 0: it does not drain; from format 1 on */
    uint64_t stop_timeout;        /* of that, in seconds, and 1; 0: as ever */
    int64_t listened_ms;          /* see struct worker, readiness; 0: not yet, or not known */
    int32_t ready_fd;             /* 0: none */
    uint32_t is_told;
    uint32_t asked_end; /* enum worker_end */
    uint32_t accepted_at_port;
};
static_assert(sizeof(struct state_worker) == 120, SNAPSHOT_SIZE);

struct state_listener {
    struct address key;
    struct path path;
    uint32_t ordinal, listening, backlog, counts;
    int32_t canonical_fd;
    uint32_t inherited; /* 1; and 2: stored */
    uint64_t view;      /* see socket_key.h */
    char name[LISTENER_NAME_MAX];
    struct address asked; /* see listener.h; len 0: key itself */
};
static_assert(sizeof(struct state_listener) == 656, SNAPSHOT_SIZE);

struct state_channel {
    uint64_t id;
    uint32_t listener, worker; /* their numbers in the snapshot */
    int32_t our_fd, their_fd, board_fd;
    uint32_t listening, closed, wait_invisible;
};
static_assert(sizeof(struct state_channel) == 40, SNAPSHOT_SIZE);

/* A worker that has ended; processes of it may be left. */
struct state_departed {
    uint8_t token[WIRE_TOKEN_SIZE];
    int64_t finish_by_ms;
};
static_assert(sizeof(struct state_departed) == 24, SNAPSHOT_SIZE);

/* What `sshim allow` and `sshim deny` have changed. */
struct state_rule {
    struct cidr network;
    uint8_t denied;
    uint8_t reserved[6];
};
static_assert(sizeof(struct state_rule) == 24, SNAPSHOT_SIZE);

/* A number as a record has it, 0 where it is not given (CONFIG_NOT_GIVEN); and back. */
uint32_t snapshot_from_number(unsigned number);
unsigned snapshot_to_number(uint64_t recorded);

/* The sizes of these records in this program, for the head of a snapshot. */
void snapshot_note_sizes(struct state_head *head);

/* One that was read. */
struct snapshot {
    struct state_head head;
    const char *tables[STATE_KINDS];
};

/* The valid snapshot of the journal. False: there is none, or none that makes sense. */
bool snapshot_open(struct snapshot *snapshot);

/* Copies the record with this number. */
void snapshot_get(const struct snapshot *snapshot, enum state_kind kind, uint32_t number,
                  void *record);

/* Calls visit for every fd number in it. */
void snapshot_each_fd(const struct snapshot *snapshot, void (*visit)(int fd, void *context),
                      void *context);

#endif
