/* test_pick.c - broker/handout/pick.c and the counters of broker/pool/channel.c, on channels made
 * by hand. */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/base/broker.h"
#include "broker/base/journal.h"
#include "broker/handout/pick.h"
#include "broker/pool/belief.h"
#include "broker/pool/worker.h"
#include "unit.h"

#define COUNT 5

static struct listener listener;
static struct channel channels[COUNT];
static struct channel *pointers[COUNT];
static struct worker fleet[COUNT];
static struct board boards[COUNT];
static struct journal_counts fates;

/* Everybody ready and waiting in one thread. */
static void reset(void)
{
    listener = (struct listener){.channels = pointers, .channel_room = COUNT};
    memset(channels, 0, sizeof channels);
    memset(fleet, 0, sizeof fleet);
    memset(boards, 0, sizeof boards);
    for (unsigned i = 0; i < COUNT; i++) {
        fleet[i].slot = i;
        fleet[i].state = WORKER_READY;
        channels[i].worker = &fleet[i];
        channels[i].listener = &listener;
        channels[i].board = &boards[i];
        channels[i].listening = true;
        boards[i].worker.waits = 1;
        boards[i].worker.waiting = 1;
        listener_add_channel(&listener, &channels[i]);
    }
    fates = (struct journal_counts){0};
    listener.counts = &fates;
}

static struct channel *idle(enum config_balance balance)
{
    return pick_idle(&listener, balance, 1000);
}

static struct channel *idle_at(int64_t now_ms)
{
    return pick_idle(&listener, BALANCE_LEASTCONN, now_ms);
}

static bool is_idle(const struct channel *channel, int64_t now_ms)
{
    struct channel_reading reading = channel_read(channel);
    return belief_is_idle(channel, &reading, now_ms);
}

static bool is_overdue(const struct channel *channel)
{
    struct channel_reading reading = channel_read(channel);
    return belief_is_overdue(channel, &reading);
}

/* This worker has accepted and closed so many. */
static void set_load(unsigned i, uint64_t accepted, uint64_t closed)
{
    channels[i].sent = accepted;
    boards[i].worker.taken = accepted;
    boards[i].worker.closed = closed;
}

static void least_loaded_wins(void)
{
    reset();
    for (unsigned i = 0; i < COUNT; i++)
        set_load(i, 10, i == 3 ? 8 : 5);
    CHECK(idle(BALANCE_LEASTCONN) == &channels[3]);
    CHECK(channel_active(&channels[3]) == 2 && channel_accepted(&channels[3]) == 10);
}

/* Worker 0 is idle with three open connections; worker 1 has one and got it just now. */
static void one_on_its_way_back_is_waited_for(void)
{
    reset();
    listener.channel_count = 2;
    set_load(0, 3, 0);
    set_load(1, 1, 0);
    boards[1].worker.waiting = 0;
    channels[1].recall.given_ms = 998;
    CHECK(idle(BALANCE_LEASTCONN) == NULL);
    CHECK(idle(BALANCE_FIRST) == &channels[0]);
    channels[1].recall.given_ms = 990; /* it is busy with something */
    CHECK(idle(BALANCE_LEASTCONN) == &channels[0]);
    channels[1].recall.given_ms = 998;
    fleet[1].state = WORKER_GONE;
    CHECK(idle(BALANCE_LEASTCONN) == &channels[0]);
    fleet[1].state = WORKER_READY;
    set_load(0, 1, 0); /* as many as the other one */
    CHECK(idle(BALANCE_LEASTCONN) == &channels[0]);
}

static void ties_rotate(void)
{
    unsigned seen = 0;

    reset();
    for (unsigned i = 0; i < COUNT; i++)
        seen |= 1u << idle(BALANCE_LEASTCONN)->position;
    CHECK(seen == (1u << COUNT) - 1);
}

/* Connections come fast: caches stay hot, and nobody who has something gets more before others. */
static void fast_ones_go_to_the_first_that_has_nothing(void)
{
    reset();
    listener.rate.favours = true;
    CHECK(idle(BALANCE_LEASTCONN) == &channels[0] && idle(BALANCE_LEASTCONN) == &channels[0]);
    set_load(0, 1, 0);
    channels[1].sent = 1; /* on its way */
    boards[2].worker.waiting = 0;
    boards[3].worker.flags = BOARD_FDS_LOW;
    CHECK(idle(BALANCE_LEASTCONN) == &channels[4]);
    set_load(0, 1, 1);
    CHECK(idle(BALANCE_LEASTCONN) == &channels[0]);
    CHECK(idle(BALANCE_ROUNDROBIN) != idle(BALANCE_ROUNDROBIN));
}

static void fast_ones_that_stay_are_spread(void)
{
    uint64_t least = 3 * COUNT, most = 0;

    reset();
    listener.rate.favours = true;
    for (unsigned i = 0; i < 3 * COUNT; i++) {
        uint32_t at = idle(BALANCE_LEASTCONN)->position;
        set_load(at, channel_accepted(&channels[at]) + 1, 0);
    }
    for (unsigned i = 0; i < COUNT; i++) {
        least = channel_active(&channels[i]) < least ? channel_active(&channels[i]) : least;
        most = channel_active(&channels[i]) > most ? channel_active(&channels[i]) : most;
    }
    CHECK(least == 3 && most == 3);
}

/* Workers that end after one connection and come back before the next. */
static void ties_rotate_although_each_comes_back(void)
{
    struct channel *last = NULL;

    reset();
    for (unsigned i = 0; i < 3 * COUNT; i++) {
        struct channel *channel = idle(BALANCE_LEASTCONN);
        CHECK(channel == &channels[i % COUNT]);
        listener_remove_channel(&listener, channel);
        if (last) /* it is back while the next one ends */
            listener_add_channel(&listener, last);
        last = channel;
    }
}

static void set_crowded(unsigned i)
{
    boards[i].worker.flags |= BOARD_FDS_LOW;
}

static void a_crowded_worker_waits_for_one_with_room(void)
{
    reset();
    for (unsigned i = 0; i < COUNT; i++)
        set_load(i, 10, 0);
    set_load(2, 10, 10);
    set_crowded(2);
    CHECK(idle(BALANCE_LEASTCONN) != &channels[2]);
    for (unsigned i = 0; i < COUNT; i++)
        boards[i].worker.waiting = i == 2;
    CHECK(idle_at(1000) == NULL);
    CHECK(idle_at(1000 + PICK_REST_MS - 1) == NULL);
    CHECK(idle_at(1000 + PICK_REST_MS) == &channels[2]);
    CHECK(idle_at(5000) == &channels[2] && idle_at(5001) == &channels[2]);
    boards[1].worker.closed++; /* it moves */
    CHECK(idle_at(5002) == NULL);
    CHECK(idle_at(5002 + PICK_REST_MS) == &channels[2]);
}

static void where_all_are_crowded_nobody_waits(void)
{
    reset();
    for (unsigned i = 0; i < COUNT; i++)
        set_crowded(i);
    set_load(1, 1, 1);
    CHECK(idle(BALANCE_LEASTCONN) != NULL);
    reset();
    set_crowded(0);
    for (unsigned i = 1; i < COUNT; i++) {
        boards[i].worker.waiting = 0;
        fleet[i].stuck = true;
    }
    CHECK(idle(BALANCE_LEASTCONN) == &channels[0]);
}

static void round_robin_goes_round(void)
{
    reset();
    set_load(0, 100, 0);
    for (unsigned i = 0; i < 2 * COUNT; i++)
        CHECK(idle(BALANCE_ROUNDROBIN) == &channels[i % COUNT]);
}

static void first_is_the_lowest_idle_slot(void)
{
    reset();
    CHECK(idle(BALANCE_FIRST) == &channels[0]);
    CHECK(idle(BALANCE_FIRST) == &channels[0]);
    boards[0].worker.waiting = 0;
    CHECK(idle(BALANCE_FIRST) == &channels[1]);
}

static void busy_ones_are_passed_over(void)
{
    reset();
    for (unsigned i = 0; i < COUNT; i++)
        boards[i].worker.waiting = i == 2;
    set_load(2, 50, 0);
    CHECK(idle(BALANCE_LEASTCONN) == &channels[2]);
    boards[2].worker.waiting = 0;
    CHECK(idle(BALANCE_LEASTCONN) == NULL);
}

static void an_untaken_offer_uses_up_a_waiter(void)
{
    reset();
    listener.channel_count = 1;
    channels[0].sent = 1;
    CHECK(channel_untaken(&channels[0]) == 1);
    CHECK(idle(BALANCE_LEASTCONN) == NULL);
    boards[0].worker.waiting = 2;
    CHECK(idle(BALANCE_LEASTCONN) == &channels[0]);
}

/* It woke us, then its loop found something else to do: its wait is over. */
static void one_that_woke_us_in_a_churn(void)
{
    reset();
    boards[0].worker.waiting = 0;
    boards[0].worker.flags = BOARD_ANNOUNCES;
    CHECK(!pick_is_given_ahead(&channels[0])); /* no churn */
    listener.rate.allowance = 2;
    for (unsigned i = 1; i < COUNT; i++)
        set_load(i, 9, 6);
    set_load(0, 9, 7);
    CHECK(pick_is_given_ahead(&channels[0]));
    channels[0].sent += 1;
    CHECK(pick_is_given_ahead(&channels[0])); /* as many as the others */
    channels[0].sent += 1;
    CHECK(!pick_is_given_ahead(&channels[0]));
    set_load(0, 9, 9);
    channels[0].sent += 2;
    CHECK(!pick_is_given_ahead(&channels[0])); /* two wait for it */
    set_load(0, 9, 9);
    boards[0].worker.flags |= BOARD_FDS_LOW;
    CHECK(!pick_is_given_ahead(&channels[0]));
    boards[0].worker.flags = 0; /* takes directly */
    CHECK(!pick_is_given_ahead(&channels[0]));
    boards[0].worker.flags = BOARD_ANNOUNCES;
    fleet[0].state = WORKER_DRAINING;
    CHECK(!pick_is_given_ahead(&channels[0]));
    fleet[0].state = WORKER_READY;
    broker.config.balance = BALANCE_ROUNDROBIN;
    CHECK(!pick_is_given_ahead(&channels[0]));
    broker.config.balance = BALANCE_LEASTCONN;
    listener.pick.is_led = true;
    CHECK(!pick_is_given_ahead(&channels[0]));
    listener.pick.is_led = false;
    CHECK(pick_is_given_ahead(&channels[0]));
}

static void never_those_that_must_not(void)
{
    reset();
    channels[0].listening = false;
    channels[1].closed = true;
    fleet[2].stopped = true;
    fleet[3].state = WORKER_DRAINING;
    for (int i = 0; i < 4; i++)
        CHECK(idle(BALANCE_LEASTCONN) == &channels[4]);
    fleet[4].state = WORKER_GONE;
    CHECK(idle(BALANCE_LEASTCONN) == NULL);
    CHECK(pick_busy(&listener, 1000) == NULL);
}

static void waiting_that_cannot_be_seen(void)
{
    reset();
    listener.channel_count = 1;
    boards[0].worker.waits = 0;
    boards[0].worker.waiting = 0;
    CHECK(idle(BALANCE_LEASTCONN) == &channels[0]);
    channels[0].sent = 1;
    CHECK(idle(BALANCE_LEASTCONN) == NULL);
}

static void a_lying_board_is_bounded(void)
{
    reset();
    listener.channel_count = 1;
    channels[0].sent = 3;
    channels[0].recalled = 1;
    boards[0].worker.taken = UINT64_MAX;
    boards[0].worker.closed = UINT64_MAX;
    CHECK(channel_untaken(&channels[0]) == 0);
    CHECK(channel_active(&channels[0]) == 0);
    CHECK(channel_accepted(&channels[0]) == 2);
    boards[0].worker.waiting = UINT32_MAX;
    CHECK(idle(BALANCE_LEASTCONN) == NULL); /* more threads than any server has: noise */
    boards[0].worker.taken = 0;
    CHECK(channel_untaken(&channels[0]) == 2);
}

static void only_what_is_missing_is_counted_late(void)
{
    reset();
    listener.channel_count = 1;
    channels[0].sent = 4;
    boards[0].worker.taken = 7;
    idle(BALANCE_LEASTCONN);
    CHECK(channels[0].sent == 4); /* nothing is missing: it lies */
    listener.missing_recalls = 2;
    fates.recalled = 5;
    idle(BALANCE_LEASTCONN);
    CHECK(channels[0].sent == 6 && boards[0].broker.sent == 6);
    CHECK(listener.missing_recalls == 0 && fates.recalled == 3);
}

static void a_suspect_must_show_life(void)
{
    reset();
    listener.channel_count = 1;
    channels[0].sent = 1;
    belief_note_overdue(&channels[0], 1000, 5);
    CHECK(idle(BALANCE_LEASTCONN) == NULL);
    boards[0].worker.taken = 1;
    CHECK(idle(BALANCE_LEASTCONN) == &channels[0]);
    CHECK(!channels[0].belief.overdue);
}

static void a_suspect_that_does_not_wait_is_busy(void)
{
    reset();
    boards[0].worker.waiting = 0;
    belief_note_overdue(&channels[0], 1000, 5);
    CHECK(is_idle(&channels[0], 100000)); /* an offer now and then */
    CHECK(belief_is_busy(&channels[0], 100000));
    boards[0].worker.waiting = 1;
    CHECK(!belief_is_busy(&channels[0], 100000));
}

static void who_waits_and_never_accepts_is_left_out(void)
{
    reset();
    listener.channel_count = 1;
    boards[0].worker.waiting = 1;
    for (int i = 1; i <= 3; i++) {
        belief_note_overdue(&channels[0], 1000, 5);
        CHECK(!belief_is_unresponsive(&channels[0]));
        boards[0].worker.waits++;
        CHECK((idle(BALANCE_LEASTCONN) == NULL) == (i == 3));
    }
    CHECK(belief_is_unresponsive(&channels[0]));
    channels[0].sent = 1;
    boards[0].worker.taken = 1;
    CHECK(idle(BALANCE_LEASTCONN) == &channels[0]);
    CHECK(!belief_is_unresponsive(&channels[0]));
}

/* `sshim status` asks as often as it likes. */
static void a_question_changes_nothing(void)
{
    reset();
    boards[0].worker.waiting = 1;
    belief_note_overdue(&channels[0], 1000, 5);
    for (int i = 0; i < 10; i++) {
        struct channel before = channels[0];
        boards[0].worker.waits++;
        CHECK(!belief_is_busy(&channels[0], 1000) && is_idle(&channels[0], 1000));
        CHECK(!is_overdue(&channels[0]) && !belief_is_unresponsive(&channels[0]));
        CHECK(memcmp(&before, &channels[0], sizeof before) == 0);
    }
}

static void suspicion_grows_to_a_second(void)
{
    int64_t last = 0;

    reset();
    for (int i = 0; i < 40; i++) {
        belief_note_overdue(&channels[0], 1000, 5);
        int64_t pause = channels[0].belief.probe_at_ms - 1000;
        CHECK(pause >= last && pause <= 1000 && pause >= 5);
        last = pause;
    }
    CHECK(last == 1000);
}

/* A worker that was stopped between receiving and counting. */
static void what_is_counted_after_all_is_forgiven_no_more(void)
{
    struct wire_offer offer = {.head = WIRE_HEAD(WIRE_OFFER), .addr_len = 16};

    reset();
    channels[0].sent = 1;
    channel_write_off(&channels[0]);
    CHECK(channel_untaken(&channels[0]) == 0);
    boards[0].worker.taken = 1;
    int pair[2];
    CHECK(journal_init() == 0 && socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) == 0);
    channels[0].our_fd = pair[0];
    CHECK(channel_send(&channels[0], &offer, pair[1], 1) == 0);
    CHECK(channel_untaken(&channels[0]) == 1);
    close(pair[0]);
    close(pair[1]);
}

static void forgiven_offers_do_not_count(void)
{
    reset();
    channels[0].sent = 4;
    channel_write_off(&channels[0]);
    CHECK(channel_untaken(&channels[0]) == 0);
}

static void a_busy_one_to_try(void)
{
    reset();
    for (unsigned i = 0; i < COUNT; i++)
        channels[i].sent = i == 1 ? 0 : 1;
    CHECK(pick_busy(&listener, 1000) == &channels[1]);
    channels[1].belief.probe_at_ms = 2000;
    CHECK(pick_busy(&listener, 1000) == NULL);
    CHECK(pick_busy(&listener, 2000) == &channels[1]);
}

static struct channel *by_source(uint32_t host)
{
    struct sockaddr_storage peer = {.ss_family = AF_INET};

    memcpy((char *)&peer + 4, &host, sizeof host);
    return pick_by_source(&listener, &peer);
}

static void a_source_stays_where_it_is(void)
{
    unsigned counts[COUNT] = {0};

    reset();
    for (uint32_t host = 0; host < 5000; host++) {
        struct channel *channel = by_source(host * 2654435761u);
        CHECK(channel == by_source(host * 2654435761u));
        counts[channel->position]++;
    }
    for (unsigned i = 0; i < COUNT; i++)
        CHECK(counts[i] > 500 && counts[i] < 2000);
}

static void only_the_lost_sources_move(void)
{
    struct channel *before[1000];

    reset();
    for (uint32_t host = 0; host < 1000; host++)
        before[host] = by_source(host);
    channels[2].closed = true;
    for (uint32_t host = 0; host < 1000; host++)
        if (before[host] != &channels[2])
            CHECK(by_source(host) == before[host]);
        else
            CHECK(by_source(host) != &channels[2]);
}

int main(void)
{
    unit_run("pick: the one with the fewest open connections", least_loaded_wins);
    unit_run("pick: one with fewer connections that is on its way back is waited for, not for long",
             one_on_its_way_back_is_waited_for);
    unit_run("pick: ties rotate", ties_rotate);
    unit_run("pick: fast ones go to the first worker that has nothing",
             fast_ones_go_to_the_first_that_has_nothing);
    unit_run("pick: fast ones that stay are spread evenly", fast_ones_that_stay_are_spread);
    unit_run("pick: ties rotate where each worker ends and comes back",
             ties_rotate_although_each_comes_back);
    unit_run("pick: a worker low on fds waits for one with room",
             a_crowded_worker_waits_for_one_with_room);
    unit_run("pick: where all are low on fds nobody waits", where_all_are_crowded_nobody_waits);
    unit_run("pick: round robin does not look at the load", round_robin_goes_round);
    unit_run("pick: first takes the lowest idle slot", first_is_the_lowest_idle_slot);
    unit_run("pick: busy ones are passed over", busy_ones_are_passed_over);
    unit_run("pick: an offer under way uses up one waiting thread",
             an_untaken_offer_uses_up_a_waiter);
    unit_run("pick: one that woke us gets one ahead of its wait, in a churn and within bounds",
             one_that_woke_us_in_a_churn);
    unit_run("pick: never one that is closed, stopped, draining, gone or does not listen",
             never_those_that_must_not);
    unit_run("pick: where waiting was never seen, nothing untaken is idle",
             waiting_that_cannot_be_seen);
    unit_run("channel: whatever the worker writes, the counts stay in bounds",
             a_lying_board_is_bounded);
    unit_run("channel: what was accepted before a crash is counted later, and no more than that",
             only_what_is_missing_is_counted_late);
    unit_run("channel: a overdue is left out until it shows life", a_suspect_must_show_life);
    unit_run("channel: a overdue that does not even say that it waits is shown as busy",
             a_suspect_that_does_not_wait_is_busy);
    unit_run("channel: who waits and never accepts is left out",
             who_waits_and_never_accepts_is_left_out);
    unit_run("belief: a question changes nothing", a_question_changes_nothing);
    unit_run("channel: suspicion lasts longer each time, a second at most",
             suspicion_grows_to_a_second);
    unit_run("channel: what was written_off is not untaken", forgiven_offers_do_not_count);
    unit_run("channel: what is counted after all is written_off no more",
             what_is_counted_after_all_is_forgiven_no_more);
    unit_run("pick: a busy one to try, but not too soon", a_busy_one_to_try);
    unit_run("pick: a source always gets the same worker, sources are spread",
             a_source_stays_where_it_is);
    unit_run("pick: when a worker goes only its own sources move", only_the_lost_sources_move);
    return unit_end();
}
