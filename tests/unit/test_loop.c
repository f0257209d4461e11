/* test_loop.c - broker/base/loop.c: timers in their order, watches that go while they are told, the
 * state saved before a wait. */
#include "broker/base/loop.h"

#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/base/journal.h"
#include "unit.h"

#define COUNT 50

struct noted {
    struct loop_timer timer;
    int64_t after_ms;
    int rounds; /* it starts itself again so often, */
    bool quits; /* and then ends the loop */
};

static struct noted noted[COUNT];
static int64_t order[4 * COUNT];
static int fired;
static struct loop_timer quit_timer;

static void on_noted(struct loop_timer *timer)
{
    struct noted *one = loop_container(timer, struct noted, timer);

    order[fired++] = one->after_ms;
    if (one->rounds-- > 0)
        loop_start_timer(timer, 0);
    else if (one->quits)
        loop_quit();
}

static void on_quit(struct loop_timer *timer)
{
    (void)timer;
    loop_quit();
}

static void run_for(int64_t delay_ms)
{
    quit_timer.on_time = on_quit;
    loop_start_timer(&quit_timer, delay_ms);
    loop_run();
}

static void start(unsigned i, int64_t after_ms)
{
    noted[i] = (struct noted){.timer.on_time = on_noted, .after_ms = after_ms};
    loop_start_timer(&noted[i].timer, after_ms);
}

static void each_at_its_time(void)
{
    for (unsigned i = 0; i < COUNT; i++)
        start(i, (int64_t)(i * 7 % 20));
    for (unsigned i = 0; i < COUNT; i += 5)
        loop_stop_timer(&noted[i].timer);
    CHECK(!loop_timer_runs(&noted[0].timer) && loop_timer_runs(&noted[1].timer));
    loop_start_timer(&noted[1].timer, 25); /* moved */
    noted[1].after_ms = 25;
    run_for(60);
    CHECK(fired == COUNT - COUNT / 5);
    for (int i = 1; i < fired; i++)
        CHECK(order[i - 1] <= order[i]);
    CHECK(order[fired - 1] == 25);
}

static int io_fired_at = -1;

static void on_io(struct loop_fd *watch, uint32_t events)
{
    uint64_t value;

    CHECK((events & EPOLLIN) && read(watch->fd, &value, sizeof value) == sizeof value);
    io_fired_at = fired;
}

static void one_that_starts_itself_again_lets_io_pass(void)
{
    struct loop_fd watch = {.on_ready = on_io};
    uint64_t one = 1;

    watch.fd = eventfd(0, EFD_CLOEXEC);
    CHECK(loop_add(&watch, EPOLLIN) == 0);
    CHECK(write(watch.fd, &one, sizeof one) == sizeof one);
    start(0, 0);
    noted[0].rounds = 3 * COUNT;
    noted[0].quits = true;
    loop_run();
    CHECK(io_fired_at >= 0 && io_fired_at <= 1);
    CHECK(fired == 3 * COUNT + 1);
    loop_remove(&watch);
}

static struct loop_fd watches[2];
static int told;

static void on_either(struct loop_fd *watch, uint32_t events)
{
    (void)events;
    told++;
    loop_remove(&watches[watch == &watches[0]]); /* the other one, which is ready as well */
    loop_remove(watch);
}

static void a_watch_that_is_removed_is_told_no_more(void)
{
    for (int i = 0; i < 2; i++) {
        watches[i] = (struct loop_fd){eventfd(1, EFD_CLOEXEC), on_either};
        CHECK(loop_add(&watches[i], EPOLLIN) == 0);
    }
    run_for(10);
    CHECK(told == 1);
}

static void a_watch_of_nothing_is_not_told(void)
{
    watches[0] = (struct loop_fd){eventfd(1, EFD_CLOEXEC), on_either};
    CHECK(loop_add(&watches[0], EPOLLIN) == 0);
    loop_modify(&watches[0], 0);
    run_for(5);
    CHECK(told == 0);
}

static int saved;

static void save(void)
{
    saved++;
}

static void on_touch(struct loop_timer *timer)
{
    (void)timer;
    journal_touch();
    journal_touch();
    loop_start_timer(&noted[0].timer, 2);
}

static void what_was_touched_is_saved_once_before_the_wait(void)
{
    struct loop_timer touch = {.on_time = on_touch};

    loop_set_save(save);
    loop_start_timer(&touch, 2);
    noted[0] = (struct noted){.timer.on_time = on_noted, .rounds = 2, .quits = true};
    loop_run();
    CHECK(saved == 1);
}

static const struct {
    const char *promise;
    void (*test)(void);
} tests[] = {
    {"loop: each timer at its time, whatever was moved or stopped", each_at_its_time},
    {"loop: a timer that starts itself again lets I/O pass",
     one_that_starts_itself_again_lets_io_pass},
    {"loop: a watch that is removed is told no more", a_watch_that_is_removed_is_told_no_more},
    {"loop: a watch of nothing is not told", a_watch_of_nothing_is_not_told},
    {"loop: what was touched is saved once, before the wait",
     what_was_touched_is_saved_once_before_the_wait},
};
static size_t current;

/* A loop that was quit does not run again. */
static void run_in_child(void)
{
    int status = -1;

    fflush(stdout);
    if (fork() == 0) {
        CHECK(loop_init() == 0);
        tests[current].test();
        fflush(stdout);
        _exit(!unit_ok);
    }
    CHECK(wait(&status) > 0 && status == 0);
}

int main(void)
{
    for (current = 0; current < sizeof tests / sizeof tests[0]; current++)
        unit_run(tests[current].promise, run_in_child);
    return unit_end();
}
