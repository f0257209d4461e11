/*
 * snapshot.h - the records of the snapshot in the journal, in the order in which they are there:
 * one head, then so many of each. Another program may have written them: whoever changes what they
 * mean changes JOURNAL_MAGIC. A field that was 0 so far may get a meaning for which 0 is right.
 */
#ifndef SSHIM_BROKER_SURVIVE_SNAPSHOT_H
#define SSHIM_BROKER_SURVIVE_SNAPSHOT_H

#include <assert.h>
#include <stdint.h>

#include "broker/base/address.h"
#include "broker/pool/path.h"
#include "proto/wire.h"

/* A record of another size is another journal. */
#define SNAPSHOT_SIZE "a record of the snapshot has changed: change JOURNAL_MAGIC as well"

struct state_head {
    uint32_t slots, workers, listeners, channels;
    int32_t rendezvous_fds[2];
    uint32_t direct; /* --handoff direct */
    uint32_t stopping;
    uint32_t generation; /* of workers, see slot.h */
    uint32_t restart_parallel, restart_again;
    uint16_t scaled_to, scaled_from; /* workers wanted, and --workers; 0: as --workers says */
};
static_assert(sizeof(struct state_head) == 48, SNAPSHOT_SIZE);

struct state_slot {
    uint32_t restarts, failures;
    uint64_t accepted;
};
static_assert(sizeof(struct state_slot) == 16, SNAPSHOT_SIZE);

enum state_role { ROLE_CURRENT, ROLE_OTHER, ROLE_SUCCESSOR };

struct state_worker {
    uint32_t slot, state, role, joined, stopped, port_zero_claims;
    int32_t pid;
    uint32_t generation; /* the rolling restart that it was started by or after */
    uint8_t token[WIRE_TOKEN_SIZE];
    uint64_t accepted;
    int64_t started_ms, ready_ms; /* as if nobody had been suspended until it was written */
    uint64_t birth;               /* procfs_birth() of pid */
};
static_assert(sizeof(struct state_worker) == 80, SNAPSHOT_SIZE);

struct state_listener {
    struct address key;
    struct path path;
    uint32_t ordinal, listening, backlog, counts;
    int32_t canonical_fd;
    uint32_t reserved;
};
static_assert(sizeof(struct state_listener) == 448, SNAPSHOT_SIZE);

struct state_channel {
    uint64_t id;
    uint32_t listener, worker; /* their numbers in the snapshot */
    int32_t our_fd, their_fd, board_fd;
    uint32_t listening, closed, wait_invisible;
};
static_assert(sizeof(struct state_channel) == 40, SNAPSHOT_SIZE);

#endif
