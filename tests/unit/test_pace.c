/* test_pace.c - broker/pace.c: with how many open connections a worker may take directly. */
#include <stdatomic.h>
#include <string.h>

#include "broker/broker.h"
#include "broker/pace.h"
#include "unit.h"

#define COUNT 4

static struct listener listener;
static struct channel channels[COUNT];
static struct channel *pointers[COUNT];
static struct board boards[COUNT];
static struct journal_counts fates;

/* So many were taken directly, and closed, since the last review a second ago. */
static void review(uint64_t direct_each, uint64_t closed_each)
{
    for (unsigned i = 0; i < COUNT; i++) {
        channels[i] = (struct channel){.listener = &listener, .board = &boards[i], .position = i};
        pointers[i] = &channels[i];
        boards[i].worker.direct += direct_each;
        boards[i].worker.closed += closed_each;
    }
    listener.counts = &fates;
    listener.channels = pointers;
    listener.channel_count = COUNT;
    listener.paced_ms = loop_now_ms() - 1000;
    pace_review(&listener);
}

static bool all_may_have(uint32_t connections)
{
    for (unsigned i = 0; i < COUNT; i++)
        if (boards[i].broker.allowance != connections)
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

int main(void)
{
    unit_run(
        "pace: a loop with open connections takes directly while they end as fast as they come",
        allowed_while_they_end_as_fast_as_they_come);
    unit_run("pace: not where they stay open", where_they_stay_the_broker_gives_each);
    unit_run("pace: not when they come slowly", when_they_come_slowly_the_broker_gives_each);
    pace_forget(&listener);
    return unit_end();
}
