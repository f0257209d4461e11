/* test_budget.c - broker/base/process/budget.c: what is beyond a worker's share waits, and no
 * longer.
 */
#include "broker/base/process/budget.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include "broker/pool/worker.h"
#include "unit.h"

#define BURST_US 1000

static struct budget budget;
static struct budget_waiter waiter;
static struct loop_timer quit_timer;
static int heard;

static void use(int64_t used_us)
{
    budget_begin(&budget);
    budget_end(used_us);
}

static void on_mail(struct loop_fd *watch, uint32_t events)
{
    (void)events;
    if (budget_is_spent(&budget)) {
        budget_wait(&budget, &waiter, watch);
        return;
    }
    heard++;
    use(BURST_US);
}

static struct loop_fd mail = {-1, on_mail};

static void on_quit(struct loop_timer *timer)
{
    (void)timer;
    loop_quit();
}

static void begin(void)
{
    budget_init(&budget);
    budget.burst_us = BURST_US;
    heard = 0;
    mail.fd = eventfd(1, EFD_CLOEXEC);
    CHECK(loop_add(&mail, EPOLLIN) == 0);
}

static void end(void)
{
    budget_leave(&waiter);
    loop_remove(&mail);
    close(mail.fd);
}

static void test_burst(void)
{
    begin();
    use(BURST_US - 1);
    CHECK(!budget_is_spent(&budget));
    use(1);
    CHECK(budget_is_spent(&budget));
    end();
}

static void test_finish(void)
{
    begin();
    use(BURST_US);
    budget_wait(&budget, &waiter, &mail);
    budget_begin(&budget);
    budget_finish(&budget);
    budget_end(BURST_US);
    CHECK(waiter.budget == NULL && budget.debt_us == BURST_US);
    end();
}

static void test_nested(void)
{
    struct budget other;

    begin();
    budget_init(&other);
    budget_begin(&budget);
    budget_begin(&other);
    budget_end(7);
    budget_end(20);
    CHECK(budget.debt_us == 20 && other.debt_us == 0);
    end();
}

/* Each message costs as much as it gets in 20 ms, and one is in the burst. */
static void test_share(void)
{
    begin();
    quit_timer.on_time = on_quit;
    loop_start_timer(&quit_timer, 500);
    loop_run();
    CHECK(heard >= 2 && heard <= 500 / 20 + 2);
    end();
}

/* A worker that has bound much is ready: what it sends then does not wait for seconds. */
static void test_start(void)
{
    struct worker *worker = worker_create(0);

    CHECK(worker != NULL);
    budget_begin(&worker->budget);
    budget_end(400000);
    CHECK(!budget_is_spent(&worker->budget));
    worker_set_state(worker, WORKER_READY);
    CHECK(!budget_is_spent(&worker->budget));
    budget_begin(&worker->budget);
    budget_end(200000);
    CHECK(budget_is_spent(&worker->budget));
}

int main(void)
{
    CHECK(loop_init() == 0);
    unit_run("a burst is free, and then it is spent", test_burst);
    unit_run("what waits is watched again when its budget ends, and nobody pays", test_finish);
    unit_run("what is done in between for another one, the outer one pays", test_nested);
    unit_run("what is always there is heard in a twentieth of the time", test_share);
    unit_run("what a worker used to start does not count against it once it is ready", test_start);
    return unit_end();
}
