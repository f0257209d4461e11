/* test_pace.c - which workers are told that they may attend, on channels made by hand. */
#include "broker/broker.h"
#include "broker/loop.h"
#include "broker/pace.h"
#include "broker/worker.h"
#include "unit.h"

#define COUNT 18
#define ATTENDING 16

static struct board boards[COUNT];
static struct channel channels[COUNT];
static struct journal_counts fates;
static struct listener listener = {.counts = &fates, .brisk = true};

static bool may_attend(unsigned i)
{
    return board_has_flag(&boards[i], BOARD_ATTEND);
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
    for (unsigned i = 0; i < COUNT; i++) {
        channels[i].board = &boards[i];
        channels[i].listener = &listener;
        listener_add_channel(&listener, &channels[i]);
    }
    pace_publish_all(&listener);
    CHECK(count_attending() == ATTENDING && !may_attend(COUNT - 1));
    listener_remove_channel(&listener, &channels[3]);
    channel_set_flag(&channels[3], BOARD_ATTEND, false);
    pace_review(&listener);
    CHECK(count_attending() == ATTENDING && may_attend(COUNT - 1));
}

int main(void)
{
    loop_init(); /* the clock: a review is due */
    unit_run("pace: whoever moves up when others go is told that it may attend",
             whoever_moves_up_is_told);
    return unit_end();
}
