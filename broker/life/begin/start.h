/*
 * start.h - the time between a worker's start and its readiness: looks at its processes, so that a
 * server without the library is found soon, and ends the waiting at --start-timeout.
 */
#ifndef SSHIM_BROKER_LIFE_BEGIN_START_H
#define SSHIM_BROKER_LIFE_BEGIN_START_H

#include "broker/diagnose/preload_check.h"
#include "broker/pool/worker.h"

/*
 * How the looking may end. on_unfit: the worker runs without the library, as the report says.
 * on_time_over: it has the library and listens on no shared address; private_address is the one
 * that it listens on by itself, "" for none.
 */
struct start_events {
    void (*on_unfit)(struct worker *worker, const struct preload_check_report *report);
    /* It has the library and listens past it, as the report says. True: the worker ends. */
    bool (*on_past)(struct worker *worker, const struct preload_check_report *report);
    void (*on_time_over)(struct worker *worker, const char *private_address);
};
void start_init(const struct start_events *events);

/* Its process was just started, or adopted while it starts. Uses worker->start_timer until the
 * worker is ready. */
void start_watch(struct worker *worker);

/* A worker has failed while others start: one that bypasses the library may have its address. Looks
 * at them now. */
void start_hurry(void);

#endif
