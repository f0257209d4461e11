/* stages.c - see stages.h. */
#include "broker/handout/front/stages.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/base/broker.h"
#include "broker/base/journal.h"
#include "broker/base/loop.h"
#include "broker/handout/front/access.h"
#include "broker/handout/front/full.h"
#include "broker/handout/front/hold.h"
#include "broker/handout/front/proxy.h"

#define DISCARDED_MAX (1 << 30) /* bytes; of TCP, MSG_TRUNC copies nothing, tcp(7) */
#define SINKS_MAX 16

/* A request in many pieces costs a look for each: so many at once, then one in a while. */
#define LOOKS_AT_ONCE 32
#define LOOK_AGAIN_MS 50

#define DROPS_AT_ONCE 256 /* connections that are late; the others in the next turn of the loop */

/* Edges: what does not grow is not reported again, and what grows need not be read for that. */
#define WATCHED (EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLET)

static const struct {
    struct held_look (*look)(struct held *held, uint32_t events);
} stages[] = {
    [HELD_HEADER] = {proxy_look},
    [HELD_REQUEST] = {hold_look},
    [HELD_ANSWERED] = {full_look},
};

static bool asks_for(const struct listener *listener, enum held_stage stage)
{
    return (stage == HELD_HEADER && listener->front.accept_proxy != ACCEPT_PROXY_NONE) ||
           (stage == HELD_REQUEST && listener->front.hold != HOLD_NONE);
}

/* HELD_COMPLETE is the last one; HELD_ANSWERED is entered by turn_away() alone. */
static enum held_stage next_stage(const struct listener *listener, enum held_stage stage)
{
    while (stage < HELD_COMPLETE && !asks_for(listener, ++stage))
        ;
    return stage;
}

static int64_t limit_ms(enum held_stage stage)
{
    switch (stage) {
    case HELD_HEADER: return PROXY_TIMEOUT_MS;
    case HELD_COMPLETE: return (int64_t)broker.config.full_after_s * 1000;
    case HELD_ANSWERED: return FULL_LINGER_MS;
    default: return (int64_t)broker.config.hold_timeout_s * 1000;
    }
}

static bool has_limit(enum held_stage stage)
{
    return stage != HELD_COMPLETE || full_is_asked_for();
}

/* --- the end of a connection here --- */

static void unwatch(struct held *held)
{
    if (held->watch.fd >= 0)
        loop_remove(&held->watch);
    held->watch.fd = -1;
}

int stages_leave(struct held *held)
{
    unwatch(held);
    loop_stop_timer(&held->again);
    return held_remove(held);
}

/* What was not read would make the close a reset: of TCP see tcp(7) and RFC 1122, 4.2.2.13. Of
 * AF_UNIX, which knows no MSG_TRUNC, as much is read as its buffers hold by default. */
static void discard(int fd)
{
    static char sink[65536];

    if (recv(fd, NULL, DISCARDED_MAX, MSG_DONTWAIT | MSG_TRUNC) >= 0 || errno != EFAULT)
        return;
    for (int i = 0; i < SINKS_MAX && recv(fd, sink, sizeof sink, MSG_DONTWAIT) > 0; i++)
        ;
}

/* A server's SO_LINGER, which connections inherit, must not make us sleep. */
void stages_close(int fd, bool by_reset)
{
    struct linger linger = {.l_onoff = by_reset};

    if (!by_reset)
        discard(fd);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    close(fd);
}

/* Its record is free before it is closed. Meanwhile the note tells a next broker that it is over,
 * and no connection that got no further. */
static void close_held(struct held *held, bool by_reset)
{
    journal_begin_closing(held->fd);
    stages_close(stages_leave(held), by_reset);
    journal_end_closing();
}

/* What was answered is not reset, whatever ends it. */
void stages_drop(struct held *held, enum held_closing why)
{
    bool is_answered = held->stage == HELD_ANSWERED;
    bool by_reset =
        !is_answered && (broker.config.hold_close == HOLD_CLOSE_RST || why == HELD_SHUT ||
                         why == HELD_DENIED || why == HELD_LIMITED || why == HELD_REJECTED);

    why = is_answered ? HELD_FULL : why;

    held_counts_of(held->listener)->closed[why]++;
    close_held(held, by_reset);
}

/* --- its way --- */

static void on_ready(struct loop_fd *watch, uint32_t events);
static void put_off(struct held *held);

/* False: the kernel has no room for one more watch. */
static bool watch(struct held *held)
{
    if (held->watch.fd >= 0)
        return true;
    held->watch = (struct loop_fd){held->fd, on_ready};
    if (loop_add(&held->watch, WATCHED) == 0)
        return true;
    held->watch.fd = -1;
    return false;
}

/* Each queue goes by age, so its first one is due first. */
static void expect_deadline(const struct held *held)
{
    struct loop_timer *timer = &held->listener->stages.deadline;
    int64_t due_ms = held->since_ms + limit_ms(held->stage);

    if (!loop_timer_runs(timer) || timer->at_ms > due_ms)
        loop_start_timer(timer, due_ms - loop_now_ms());
}

static void expect_deadlines(struct listener *listener)
{
    for (enum held_stage stage = HELD_HEADER; stage < LISTENER_STAGES; stage++)
        if (has_limit(stage) && !TAILQ_EMPTY(&listener->held.queues[stage]))
            expect_deadline(TAILQ_FIRST(&listener->held.queues[stage]));
}

/* No worker could take it. The stage is stored first: once a client has an answer, no next broker
 * offers it to a worker. */
static void turn_away(struct held *held)
{
    struct cidr_host host;

    if (hold_is_dead(held->fd)) {
        stages_drop(held, HELD_DEAD);
        return;
    }
    if (held_get_host(held, &host))
        access_tell(&host, "no worker could take it within --full-after");
    if (broker.config.when_full.kind == WHEN_FULL_ANSWER) {
        held_set_stage(held, HELD_ANSWERED);
        held->looks = 0;
        if (full_answer(held->fd) && watch(held)) { /* what was sent is reported at once */
            expect_deadline(held);
            return;
        }
    }
    stages_drop(held, HELD_FULL);
}

static void drop_late(struct held *held)
{
    struct cidr_host host;

    if (held->stage == HELD_COMPLETE) {
        turn_away(held);
        return;
    }
    if (held->stage == HELD_HEADER && held_get_host(held, &host))
        access_tell(&host, "its PROXY header did not come within 3 seconds");
    stages_drop(held, held->stage == HELD_HEADER ? HELD_REJECTED : HELD_TIMEOUT);
}

static void on_deadline(struct loop_timer *timer)
{
    struct listener *listener = loop_container(timer, struct listener, stages.deadline);
    int64_t now_ms = loop_now_ms();
    int budget = DROPS_AT_ONCE;

    for (enum held_stage stage = HELD_HEADER; stage < LISTENER_STAGES; stage++) {
        struct held *oldest;
        while (has_limit(stage) && (oldest = TAILQ_FIRST(&listener->held.queues[stage])) != NULL &&
               oldest->since_ms + limit_ms(stage) <= now_ms && budget-- > 0)
            drop_late(oldest);
    }
    expect_deadlines(listener);
    listener_pump(listener); /* there is room for others */
}

/* Its client is known: behind HELD_HEADER. False: it was closed. */
static bool admit(struct held *held)
{
    struct cidr_host host;

    if (!access_is_limited() || !held_get_host(held, &host))
        return true;
    enum access answer = access_ask(held->fd, &host);
    if (answer != ACCESS_GIVEN)
        stages_drop(held, answer == ACCESS_DENIED ? HELD_DENIED : HELD_LIMITED);
    return answer == ACCESS_GIVEN;
}

/* False: it was closed. */
static bool go_on(struct held *held)
{
    bool is_new = held->stage == HELD_HEADER;

    held_set_stage(held, next_stage(held->listener, held->stage));
    return !is_new || admit(held);
}

/* As far as it goes now. What cannot be watched is complete: the worker waits for it then. Who was
 * answered gets no worker. */
static void advance(struct held *held, uint32_t events)
{
    while (held->stage != HELD_COMPLETE) {
        struct held_look found = stages[held->stage].look(held, events);
        if (found.result == LOOK_CLOSE) {
            stages_drop(held, found.why);
            return;
        }
        if (found.result == LOOK_LATER)
            put_off(held);
        if (found.result == LOOK_LATER || (found.result == LOOK_MORE && watch(held))) {
            expect_deadline(held);
            return;
        }
        if (held->stage == HELD_ANSWERED) {
            stages_drop(held, HELD_FULL);
            return;
        }
        if (!go_on(held))
            return;
    }
    unwatch(held);
    if (full_is_asked_for())
        expect_deadline(held);
}

static void on_look_again(struct loop_timer *timer)
{
    struct held *held = loop_container(timer, struct held, again);

    held->looks = LOOKS_AT_ONCE - 1;
    if (!watch(held)) /* reports what came meanwhile */
        advance(held, 0);
}

static void put_off(struct held *held)
{
    unwatch(held);
    held->again.on_time = on_look_again;
    loop_start_timer(&held->again, LOOK_AGAIN_MS);
}

static void on_ready(struct loop_fd *watch, uint32_t events)
{
    struct held *held = loop_container(watch, struct held, watch);
    struct listener *listener = held->listener;

    if (++held->looks > LOOKS_AT_ONCE && !(events & EPOLLERR)) {
        put_off(held);
        return;
    }
    if (events & EPOLLERR) /* reset; what was sent before may be there all the same */
        stages_drop(held, HELD_HUNG_UP);
    else
        advance(held, events);
    listener_pump(listener);
}

/* A connection that was here before: its header may have been read by then. */
static void pass_known_header(struct held *held)
{
    if (held->stage == HELD_HEADER && proxy_resume(held))
        held_set_stage(held, next_stage(held->listener, HELD_HEADER));
}

static void enter(struct listener *listener, int fd, const struct wire_offer *offer, bool again)
{
    struct held *held = held_add(listener, next_stage(listener, HELD_FREE), fd, offer);

    if (!held) {
        stages_close(fd, true); /* front_has_room() was not asked */
        return;
    }
    if (again)
        pass_known_header(held);
    if (held->stage == HELD_HEADER || admit(held))
        advance(held, 0);
}

/* Watched from now on: what came meanwhile is reported at once. */
void stages_resume(struct listener *listener)
{
    for (int stage = HELD_ANSWERED; stage >= HELD_HEADER; stage--) { /* they move upward */
        struct held *held = TAILQ_FIRST(&listener->held.queues[stage]);
        while (held) {
            struct held *next = TAILQ_NEXT(held, queue);
            pass_known_header(held);
            if (held->stage == HELD_ANSWERED)
                watch(held);
            else if (held->stage < HELD_COMPLETE &&
                     (!asks_for(listener, held->stage) || !watch(held)))
                held_set_stage(held, HELD_COMPLETE);
            held = next;
        }
    }
    expect_deadlines(listener);
}

/* A timer that is too early by now finds nothing that is late, and starts again. */
void stages_reread(void)
{
    struct listener *listener;

    TAILQ_FOREACH(listener, &listeners, all)
        expect_deadlines(listener);
}

void stages_enter(struct listener *listener, int fd, const struct wire_offer *offer)
{
    enter(listener, fd, offer, false);
}

void stages_enter_again(struct listener *listener, int fd, const struct wire_offer *offer)
{
    enter(listener, fd, offer, true);
}

void stages_turn_away(struct listener *listener, int fd, const struct wire_offer *offer)
{
    struct held *held = held_add(listener, HELD_COMPLETE, fd, offer);

    if (held) {
        turn_away(held);
        return;
    }
    held_counts_of(listener)->closed[HELD_FULL]++;
    stages_close(fd, false);
}

void stages_init(struct listener *listener)
{
    held_prepare(listener);
    listener->stages.deadline.on_time = on_deadline;
}

void stages_finish(struct listener *listener)
{
    struct held *held;

    for (int stage = HELD_HEADER; stage < LISTENER_STAGES; stage++)
        while ((held = TAILQ_FIRST(&listener->held.queues[stage])) != NULL)
            stages_drop(held, HELD_SHUT);
    loop_stop_timer(&listener->stages.deadline);
}
