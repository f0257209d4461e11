/* test_listener.c - broker/pool/listener.c: the order of channels, and sums that agree. */
#include "broker/pool/listener.h"

#include <string.h>

#include "broker/base/loop.h"
#include "unit.h"

#define COUNT 5

static struct address key = {.len = sizeof(sa_family_t)};
static struct listener *listener;
static struct channel channels[COUNT];
static struct board boards[COUNT];

static void begin(void)
{
    listener = listener_create(&key, 0, NULL);
    CHECK(listener && listener->canonical_fd == -1 && !listener->displaced);
    for (unsigned i = 0; i < COUNT; i++) {
        memset(&boards[i], 0, sizeof boards[i]);
        channels[i] = (struct channel){.board = &boards[i], .listener = listener};
        listener_add_channel(listener, &channels[i]);
    }
}

static void end(void)
{
    while (listener->channel_count > 0)
        listener_remove_channel(listener, listener->channels[0]);
    listener_destroy(listener);
}

static void a_channel_that_goes_leaves_the_order_as_it_was(void)
{
    begin();
    listener_remove_channel(listener, &channels[1]);
    CHECK(listener->channel_count == COUNT - 1);
    CHECK(listener->channels[0] == &channels[0] && listener->channels[1] == &channels[2]);
    for (uint32_t i = 0; i < listener->channel_count; i++)
        CHECK(listener->channels[i]->position == i);
    end();
}

static bool agree(struct listener_totals totals)
{
    return totals.accepted == totals.handed + totals.direct &&
           totals.handed == totals.taken + totals.recalled + totals.lost + totals.untaken &&
           totals.connections == totals.taken + totals.direct + totals.lost + totals.untaken;
}

static void the_sums_agree_whatever_becomes_of_offers(void)
{
    begin();
    channels[0].sent = 10;
    boards[0].worker.taken = 7;
    channels[1].sent = 4;
    channels[1].recalled = 1;
    boards[1].worker.taken = 3;
    boards[1].worker.lost = 1;
    boards[2].worker.direct = 6;
    listener->counts->handed = 14;
    listener->counts->recalled = 1;
    struct listener_totals before = listener_totals(listener);
    CHECK(agree(before) && before.untaken == 3 && before.lost == 1 && before.direct == 6);
    listener_remove_channel(listener, &channels[0]); /* its three offers were lost with it */
    struct listener_totals after = listener_totals(listener);
    CHECK(agree(after) && after.lost == 4 && after.untaken == 0);
    CHECK(after.connections == before.connections);
    end();
}

/* The broker before took one back, and was killed before it counted that. */
static void what_a_killed_broker_had_not_counted_is_found(void)
{
    begin();
    channels[0].sent = 3;
    boards[0].worker.taken = 3;
    listener->counts->handed = 4;
    CHECK(!agree(listener_totals(listener)));
    listener_repair_counts(listener);
    CHECK(agree(listener_totals(listener)) && listener->missing_recalls == 1);
    boards[0].worker.taken = 4; /* the worker had accepted it, and counts it only now */
    listener_count_late(&channels[0]);
    CHECK(agree(listener_totals(listener)) && listener_totals(listener).recalled == 0);
    CHECK(listener->missing_recalls == 0);
    end();
}

static void queues_have_a_channel_once(void)
{
    begin();
    channel_set_outstanding(&channels[0], true);
    channel_set_outstanding(&channels[0], true);
    channel_set_recallable(&channels[0], true);
    channel_set_recallable(&channels[1], true);
    CHECK(TAILQ_FIRST(&listener->outstanding) == &channels[0]);
    CHECK(!TAILQ_NEXT(&channels[0], outstanding));
    CHECK(TAILQ_NEXT(&channels[0], recallable) == &channels[1]);
    channel_leave_queues(&channels[0]);
    CHECK(TAILQ_EMPTY(&listener->outstanding) && !channels[0].on_recallable);
    channel_disown(&channels[2]); /* what is in it goes to others, after what is older */
    CHECK(channels[2].closed && TAILQ_NEXT(&channels[1], recallable) == &channels[2]);
    end();
    listener = NULL;
}

static void one_is_found_by_its_key_until_it_is_shut(void)
{
    begin();
    CHECK(listener_find(&key, &listener->socket, 0) == listener);
    CHECK(listener_find(&key, &listener->socket, 1) == NULL);
    listener_set_shut(listener);
    CHECK(listener->displaced && listener_find(&key, &listener->socket, 0) == NULL);
    end();
}

int main(void)
{
    key.storage.ss_family = AF_INET;
    CHECK(loop_init() == 0 && journal_init() == 0);
    unit_run("listener: a channel that goes leaves the order as it was",
             a_channel_that_goes_leaves_the_order_as_it_was);
    unit_run("listener: the sums agree, whatever becomes of offers",
             the_sums_agree_whatever_becomes_of_offers);
    unit_run("listener: what a killed broker had not counted is found",
             what_a_killed_broker_had_not_counted_is_found);
    unit_run("listener: a queue has a channel once, in order", queues_have_a_channel_once);
    unit_run("listener: one is found by its key until it is shut",
             one_is_found_by_its_key_until_it_is_shut);
    return unit_end();
}
