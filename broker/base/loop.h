/*
 * loop.h - the broker's event loop: file descriptors and timers. The only place that knows epoll.
 * One loop a process, one thread.
 */
#ifndef SSHIM_BROKER_BASE_LOOP_H
#define SSHIM_BROKER_BASE_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>

/* Embedded in what owns the fd. The callback may remove and free any watch, its own included. */
struct loop_fd {
    int fd; /* borrowed: remove the watch before closing it */
    void (*on_ready)(struct loop_fd *watch, uint32_t events);
};

/* Embedded in what waits; zero-initialised = not running. The callback may start it again, or free
 * it. */
struct loop_timer {
    int64_t at_ms;
    size_t position; /* in the heap, counted from 1; 0: not running */
    void (*on_time)(struct loop_timer *timer);
};

#define loop_container(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

/* 0, or -1 with the errno of epoll_create1(2). */
int loop_init(void);

/* events as for epoll_ctl(2); 0 watches nothing but errors. 0, or -1 with the errno of
 * epoll_ctl(2). */
int loop_add(struct loop_fd *watch, uint32_t events);
void loop_modify(struct loop_fd *watch, uint32_t events);
void loop_remove(struct loop_fd *watch);

/* Runs on_time once after delay_ms; a timer that runs is moved. Aborts when memory is out. */
void loop_start_timer(struct loop_timer *timer, int64_t delay_ms);
void loop_stop_timer(struct loop_timer *timer);

static inline bool loop_timer_runs(const struct loop_timer *timer)
{
    return timer->position != 0;
}

/* The same, but a timer that runs is left as it is. */
static inline void loop_ensure_timer(struct loop_timer *timer, int64_t delay_ms)
{
    if (timer->position == 0)
        loop_start_timer(timer, delay_ms);
}

/* CLOCK_MONOTONIC in milliseconds, read once per turn of the loop; less the time in which this
 * process was suspended. */
int64_t loop_now_ms(void);

/* That time so far. What a moment of this clock is to another process: loop_now_ms() plus this,
 * then, less its own. */
int64_t loop_suspended_ms(void);

/* Called before the loop waits if journal_touch() was called since the last time. */
void loop_set_save(void (*save_state)(void));

/* Turns until loop_quit(), which may have been called already. */
void loop_run(void);
/* One turn: waits for what comes first, an event or a timer. */
void loop_turn(void);
void loop_quit(void);

#endif
