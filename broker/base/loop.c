/* loop.c - epoll and a binary heap of timers. */
#include "broker/base/loop.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "broker/base/journal.h"
#include "broker/base/turn.h"

#define BATCH 64
#define LATE_MS 1000 /* later than that: not busy, but suspended */

static int epoll_fd = -1;
static bool running = true;
static int64_t now_ms;       /* without the time in which we were suspended */
static int64_t suspended_ms; /* in all */

/* The events of this turn: loop_remove blanks those of a watch that is gone. */
static struct epoll_event batch[BATCH];
static int batch_count;

static struct loop_timer **heap; /* heap[1] is the earliest */
static size_t heap_used;
static size_t heap_room;

int loop_init(void)
{
    now_ms = turn_read_us(CLOCK_MONOTONIC) / 1000;
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    return epoll_fd < 0 ? -1 : 0;
}

int loop_add(struct loop_fd *watch, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = watch};
    return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, watch->fd, &event);
}

void loop_modify(struct loop_fd *watch, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = watch};
    int result = epoll_ctl(epoll_fd, EPOLL_CTL_MOD, watch->fd, &event);
    assert(result == 0);
    (void)result;
}

void loop_remove(struct loop_fd *watch)
{
    epoll_ctl(epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
    for (int i = 0; i < batch_count; i++)
        if (batch[i].data.ptr == watch)
            batch[i].data.ptr = NULL;
}

static void heap_put(size_t position, struct loop_timer *timer)
{
    heap[position] = timer;
    timer->position = position;
}

static void heap_lift(size_t position, struct loop_timer *timer)
{
    for (; position > 1 && heap[position / 2]->at_ms > timer->at_ms; position /= 2)
        heap_put(position, heap[position / 2]);
    heap_put(position, timer);
}

static void heap_sink(size_t position, struct loop_timer *timer)
{
    for (size_t child; (child = position * 2) <= heap_used; position = child) {
        if (child < heap_used && heap[child + 1]->at_ms < heap[child]->at_ms)
            child++;
        if (heap[child]->at_ms >= timer->at_ms)
            break;
        heap_put(position, heap[child]);
    }
    heap_put(position, timer);
}

void loop_start_timer(struct loop_timer *timer, int64_t delay_ms)
{
    if (timer->position)
        loop_stop_timer(timer);
    timer->at_ms = now_ms + (delay_ms > 0 ? delay_ms : 0);
    if (heap_used + 2 > heap_room) {
        heap_room = heap_room ? heap_room * 2 : 64;
        heap = realloc(heap, heap_room * sizeof(struct loop_timer *));
        if (!heap)
            abort();
    }
    heap_lift(++heap_used, timer);
}

void loop_stop_timer(struct loop_timer *timer)
{
    size_t position = timer->position;

    if (!position)
        return;
    timer->position = 0;
    struct loop_timer *last = heap[heap_used--];
    if (last == timer)
        return;
    if (position > 1 && heap[position / 2]->at_ms > last->at_ms)
        heap_lift(position, last);
    else
        heap_sink(position, last);
}

int64_t loop_now_ms(void)
{
    return now_ms;
}

int64_t loop_suspended_ms(void)
{
    return suspended_ms;
}

/* As many as are due now: a timer that restarts itself for now must let I/O pass first. */
static void run_timers(void)
{
    for (size_t left = heap_used; left > 0 && heap_used && heap[1]->at_ms <= now_ms; left--) {
        struct loop_timer *timer = heap[1];
        loop_stop_timer(timer);
        timer->on_time(timer);
    }
}

static int wait_ms(void)
{
    if (!heap_used)
        return -1;
    int64_t rest = heap[1]->at_ms - now_ms;
    return rest < 0 ? 0 : rest > 3600000 ? 3600000 : (int)rest;
}

static void do_nothing(void)
{
}

static void (*save)(void) = do_nothing;

void loop_set_save(void (*save_state)(void))
{
    save = save_state;
}

/*
 * If we were stopped, or the machine slept, our clock stands still too. Else all timers would be
 * due at once, and workers that stood still with us would count as stuck. The times in the last
 * snapshot are true until then.
 */
static void skip_suspension(int64_t due_ms)
{
    suspended_ms += now_ms - due_ms;
    now_ms = due_ms;
    journal_touch();
}

void loop_turn(void)
{
    if (journal_live.touched) {
        journal_live.touched = false;
        save();
    }
    int limit_ms = wait_ms();
    int64_t due_ms = now_ms + limit_ms;
    turn_end(turn_read_us(CLOCK_MONOTONIC));
    int count = epoll_wait(epoll_fd, batch, BATCH, limit_ms);
    assert(count >= 0 || errno == EINTR);
    int64_t woken_us = turn_read_us(CLOCK_MONOTONIC);
    if (count >= 0)
        turn_begin(woken_us); /* else a tick of turn.h: one that counted would bring the next */
    now_ms = woken_us / 1000 - suspended_ms;
    if (limit_ms >= 0 && now_ms > due_ms + LATE_MS)
        skip_suspension(due_ms);
    if (count < 0)
        return; /* timers that are due end the next wait at once */
    batch_count = count;
    for (int i = 0; i < batch_count; i++) {
        struct loop_fd *watch = batch[i].data.ptr;
        if (watch)
            watch->on_ready(watch, batch[i].events);
    }
    batch_count = 0;
    run_timers();
}

void loop_run(void)
{
    while (running)
        loop_turn();
}

void loop_quit(void)
{
    running = false;
}
