/* waiters.c - see waiters.h. */
#include "broker/life/restart/waiters.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "broker/base/log.h"
#include "broker/base/options.h"
#include "broker/pool/worker.h"

struct waiter {
    struct session *session; /* NULL: is gone */
    bool no_wait;
    unsigned generation;
    uint64_t cut;
    char news[OPTION_FAULT_SIZE];
    char text[WAITERS_TEXT_MAX];
    int exit_code;
    bool is_over; /* text and exit_code are there; waits for the old workers to end */
    TAILQ_ENTRY(waiter) all;
};

static TAILQ_HEAD(waiter_queue, waiter) waiters = TAILQ_HEAD_INITIALIZER(waiters);

static void on_session_gone(struct session *session)
{
    struct waiter *waiter;

    TAILQ_FOREACH(waiter, &waiters, all)
        if (waiter->session == session)
            waiter->session = NULL;
}

bool waiters_add(struct session *session, unsigned generation, bool no_wait, const char *news)
{
    struct waiter *waiter = calloc(1, sizeof *waiter);

    if (!waiter)
        return false;
    waiter->session = session;
    waiter->no_wait = no_wait;
    waiter->generation = generation;
    snprintf(waiter->news, sizeof waiter->news, "%s", news ? news : "");
    if (session)
        session_await(session, on_session_gone);
    TAILQ_INSERT_TAIL(&waiters, waiter, all);
    return true;
}

bool waiters_end(const char *text, int exit_code, bool at_once)
{
    struct waiter *waiter;
    bool has_session = false;

    TAILQ_FOREACH(waiter, &waiters, all) {
        if (waiter->is_over)
            continue;
        snprintf(waiter->text, sizeof waiter->text, "%s", text);
        waiter->exit_code = exit_code;
        waiter->is_over = true;
        waiter->no_wait |= at_once;
        has_session |= waiter->session != NULL;
    }
    return has_session;
}

static bool answer(struct waiter *waiter)
{
    struct session *session = waiter->session;
    char cut[80] = "";

    if (waiter->cut > 0) {
        snprintf(cut, sizeof cut, "connections of the old workers that were cut: %llu",
                 (unsigned long long)waiter->cut);
        log_info("%s", cut);
    }
    if (session)
        session_answer(session, waiter->exit_code, "%s%s%s%s", waiter->news, waiter->text, cut,
                       cut[0] ? "\n" : "");
    TAILQ_REMOVE(&waiters, waiter, all);
    free(waiter);
    return session != NULL;
}

static bool has_old_workers(unsigned generation)
{
    const struct worker *worker;

    LIST_FOREACH(worker, &workers, all)
        if (worker->state == WORKER_DRAINING && !worker->joined && worker->generation < generation)
            return true;
    return false;
}

bool waiters_answer(void)
{
    struct waiter *waiter = TAILQ_FIRST(&waiters);
    bool has_answered = false;

    while (waiter) {
        struct waiter *next = TAILQ_NEXT(waiter, all);
        if (waiter->is_over && (waiter->no_wait || !has_old_workers(waiter->generation)))
            has_answered |= answer(waiter);
        waiter = next;
    }
    return has_answered;
}

bool waiters_are_left(void)
{
    return !TAILQ_EMPTY(&waiters);
}

void waiters_on_old_end(const struct worker *worker)
{
    struct waiter *waiter;

    if (worker->state != WORKER_DRAINING)
        return;
    TAILQ_FOREACH(waiter, &waiters, all)
        if (worker->generation < waiter->generation)
            waiter->cut += worker_active(worker);
}
