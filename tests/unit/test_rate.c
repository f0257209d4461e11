/*
 * test_rate.c - broker/handout/canonical/rate.c: which workers may attend, and with how many open
 * connections one may take directly, on channels made by hand.
 */
#include "broker/base/broker.h"
#include "broker/base/loop.h"
#include "broker/handout/canonical/rate.h"
#include "broker/pool/worker.h"
#include "unit.h"

#define COUNT 18
#define ATTENDING 16

static struct board boards[COUNT];
static struct channel channels[COUNT];
static struct journal_counts fates;
static struct listener listener = {.counts = &fates};

static void add_channels(void)
{
    for (unsigned i = 0; i < COUNT; i++) {
        channels[i].board = &boards[i];
        channels[i].listener = &listener;
        listener_add_channel(&listener, &channels[i]);
    }
}

/* So many were taken directly by each, and closed, since the last review a second ago. */
static void review(uint64_t direct, uint64_t closed)
{
    for (unsigned i = 0; i < listener.channel_count; i++) {
        listener.channels[i]->board->worker.direct += direct;
        listener.channels[i]->board->worker.closed += closed;
    }
    listener.rate.reviewed_ms = loop_now_ms() - 1000;
    rate_review(&listener);
}

static bool all_may_have(uint32_t connections)
{
    for (unsigned i = 0; i < listener.channel_count; i++)
        if (listener.channels[i]->board->broker.allowance != connections)
            return false;
    return true;
}

static void allowed_while_they_end_as_fast_as_they_come(void)
{
    review(1000, 990);
    CHECK(all_may_have(11)); /* as many as the others, and one */
    review(1000, 1000);
    CHECK(all_may_have(11));
}

static void where_they_stay_the_broker_gives_each(void)
{
    review(1000, 500);
    CHECK(all_may_have(0));
    review(1000, 1000);
    CHECK(all_may_have(511));
}

static void when_they_come_slowly_the_broker_gives_each(void)
{
    review(10, 10);
    CHECK(all_may_have(0));
}

static bool may_attend(unsigned i)
{
    return board_has_flag(&boards[i], BOARD_WAIT_EXCLUSIVE);
}

static unsigned count_attending(void)
{
    unsigned count = 0;

    for (unsigned i = 0; i < COUNT; i++)
        count += may_attend(i);
    return count;
}

static void whoever_moves_up_is_told(void)
{
    listener.poll.high_rate = true;
    rate_publish_all(&listener);
    CHECK(count_attending() == ATTENDING && !may_attend(ATTENDING));
    listener_remove_channel(&listener, &channels[3]);
    channel_set_flag(&channels[3], BOARD_WAIT_EXCLUSIVE, false);
    review(0, 0);
    CHECK(count_attending() == ATTENDING && may_attend(ATTENDING));
}

static bool all_pass_us(void)
{
    for (unsigned i = 0; i < listener.channel_count; i++)
        if (!board_has_flag(listener.channels[i]->board, BOARD_THROUGH))
            return false;
    return true;
}

static void what_must_pass_us_is_told_at_once(void)
{
    rate_publish_all(&listener);
    CHECK(!all_pass_us());
    listener.front.is_on = true;
    rate_publish_all(&listener);
    CHECK(all_pass_us());
    listener.front.is_on = false;
    rate_publish_all(&listener);
    CHECK(!all_pass_us());
}

static void is_looked_at_while_something_goes_on(void)
{
    listener.poll.high_rate = false;
    review(0, 0);
    CHECK(rate_is_low(&listener));
    review(1, 1);
    CHECK(!rate_is_low(&listener)); /* one each is more than a few */
    review(0, 0);
    listener.queue.waits = true; /* workers may take without us */
    CHECK(!rate_is_low(&listener));
    listener.queue.waits = false;
    CHECK(rate_is_low(&listener));
}

/* In a second each worker got so many, and took so many itself; so many times one woke us. */
static bool may_wait_exclusively(uint64_t offered, uint64_t direct, uint64_t wakes)
{
    for (unsigned i = 0; i < listener.channel_count; i++) {
        fates.handed += offered;
        listener.channels[i]->sent += offered;
        listener.channels[i]->board->worker.taken += offered;
        listener.channels[i]->board->worker.direct += direct;
        listener.channels[i]->board->worker.closed += offered + direct;
    }
    listener.dispatch.wakes += wakes;
    listener.rate.reviewed_ms = loop_now_ms() - 1000;
    listener.poll.high_rate = rate_review(&listener);
    return listener.poll.high_rate;
}

static void loops_wait_exclusively_while_workers_are_idle(void)
{
    uint64_t few = 1000 / listener.channel_count, many = 100 * few;

    broker.config.balance = BALANCE_LEASTCONN;
    runtime.handoff = HANDOFF_AUTO;
    CHECK(!may_wait_exclusively(few / 2, 0, 0)); /* they come slowly */
    CHECK(!listener.rate.favours);
    CHECK(may_wait_exclusively(many, 0, 0) && listener.rate.favours);
    CHECK(may_wait_exclusively(0, many, few)); /* what the kernel woke them for */
    CHECK(!may_wait_exclusively(0, many, many * listener.channel_count / 5)); /* they decline */
    CHECK(!listener.rate.favours);
    CHECK(!may_wait_exclusively(few, many, 0) &&
          listener.rate.favours); /* who comes back always finds one */
    CHECK(may_wait_exclusively(many, many / 2, 0));
    listener.queue.begun += many;
    CHECK(!may_wait_exclusively(many, 0, 0));
}

static void one_that_hands_out_all_is_busy_by_their_number(void)
{
    uint64_t few = 1000 / listener.channel_count;

    may_wait_exclusively(2 * few, 0, 0);
    CHECK(!listener.rate.saturated); /* none had to wait */
    listener.front.is_on = true;
    may_wait_exclusively(2 * few, 0, 0);
    CHECK(listener.rate.saturated);
    may_wait_exclusively(few / 2, 0, 1000);
    CHECK(!listener.rate.saturated);
    listener.front.is_on = false;
}

static void a_pool_that_is_gone_has_no_average(void)
{
    review(1000, 1000);
    while (listener.channel_count > 0)
        listener_remove_channel(&listener, listener.channels[0]);
    review(0, 0);
    CHECK(listener.rate.allowance == 0);
}

int main(void)
{
    loop_init();
    add_channels();
    unit_run("pace: with connections open, too, while they end as fast as they come",
             allowed_while_they_end_as_fast_as_they_come);
    unit_run("pace: not where they stay open", where_they_stay_the_broker_gives_each);
    unit_run("pace: not when they come slowly", when_they_come_slowly_the_broker_gives_each);
    unit_run("pace: whoever moves up when others go is told that it may attend",
             whoever_moves_up_is_told);
    unit_run("pace: what must pass the broker is told at once", what_must_pass_us_is_told_at_once);
    unit_run("pace: is looked at again as long as something goes on",
             is_looked_at_while_something_goes_on);
    unit_run("pace: event loops wait exclusively only while workers are idle",
             loops_wait_exclusively_while_workers_are_idle);
    unit_run("pace: a broker that hands out all is busy by their number",
             one_that_hands_out_all_is_busy_by_their_number);
    unit_run("pace: when all workers are gone nothing is allowed",
             a_pool_that_is_gone_has_no_average);
    return unit_end();
}
