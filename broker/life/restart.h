/*
 * restart.h - the rolling restart: for each slot a successor is started, and the old worker drains
 * when the successor does all that the old one did (succession.h) and has lived --settle seconds
 * after that. If a new copy ends, the restart ends, and the remaining old workers go on serving.
 */
#ifndef SSHIM_BROKER_LIFE_RESTART_H
#define SSHIM_BROKER_LIFE_RESTART_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/life/restart/result.h"
#include "broker/life/slot.h"
#include "broker/pool/session/session.h"

/*
 * Begins with at most parallel slots at a time. waiter (NULL: none) is answered when the old
 * workers have ended, or, with no_wait, when the last one has begun to drain; it belongs to the
 * restart from then on. Without a waiter, a restart that is asked for during another one follows
 * it. False: a restart is under way already, or the broker stops.
 */
bool restart_begin(unsigned parallel, bool no_wait, struct session *waiter);

/* The same as a command says it. */
struct restart_order {
    const struct slot *only; /* NULL: all */
    unsigned parallel;
    unsigned stop_timeout_s; /* of the old workers; CONFIG_NOT_GIVEN: as ever */
    bool no_wait;
    const char *news; /* lines for the answer; NULL: none */
};
bool restart_begin_with(const struct restart_order *order, struct session *waiter);

/* The same for a rule of the operator (recycle.c): a restart that is asked for meanwhile takes it
 * in. False: a restart is under way, or the broker stops. */
bool restart_recycle(const struct slot *slot);
bool restart_is_recycling(void);

/* The session asked the broker before us, which was killed or upgraded: it is answered as by
 * restart_begin(), when the restart that went on and its old workers have ended. False: no restart
 * went on, and none has ended unanswered. */
bool restart_join(bool no_wait, struct session *session);

/* Whether a command may begin one now. */
bool restart_may_begin(void);

/* Workers are being replaced. */
bool restart_is_under_way(void);

/* What of it is in the snapshot; parallel is 0 where none is under way. */
struct restart_record {
    uint32_t parallel;
    uint32_t again; /* another one follows */
    uint32_t only;  /* the slot that is replaced and 1; 0: all */
    uint32_t stop_timeout_s;
    struct restart_result result; /* of the one before, where none is under way */
    uint32_t recycles;            /* see restart_recycle() */
};
struct restart_record restart_record(void);

/* Goes on with the restart of a broker before us, or with its answer; slots and workers are loaded.
 */
void restart_resume(const struct restart_record *record);

/* fleet: a worker has ended, and how; or it has served and ended by itself. It has left its slot.
 */
void restart_on_failure(const struct worker *last, const char *how);
void restart_on_served(struct slot *slot, const struct worker *last);

/* All workers start again, old and new: one that is under way ends, and none follows it. */
void restart_supersede(const char *reason);

#endif
