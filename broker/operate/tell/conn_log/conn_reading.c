/* conn_reading.c - see conn_reading.h. */
#include "broker/operate/tell/conn_log/conn_reading.h"

#include "broker/base/loop.h"
#include "broker/base/turn.h"
#include "broker/handout/canonical/rate.h"
#include "broker/operate/tell/conn_log/conn_claims.h"
#include "broker/operate/tell/conn_log/conn_line.h"
#include "broker/operate/tell/conn_log/conn_notes.h"
#include "broker/pool/worker.h"

#define REST_MS 200
#define NOTES_A_TURN 4000 /* of all channels */
#define SHARE 4           /* a look is followed by so many times its duration without one */

static struct loop_timer timer;
static int64_t rest_until_ms; /* CLOCK_MONOTONIC; see SHARE */
static void (*tell_read)(int64_t now_ms);
static unsigned unread_count; /* channels that had notes at the last look */
static bool has_more;         /* than a turn's share in one of them */

/* Visits all channels of workers that can note, whether they do now or not. Whether one visit was
 * true. */
static bool visit(bool on_channel(struct channel *channel, int64_t now_ms), int64_t now_ms)
{
    struct worker *worker;
    struct channel *channel;
    bool is_any = false;

    LIST_FOREACH(worker, &workers, all)
        LIST_FOREACH(channel, &worker->channels, of_worker)
            is_any |= channel->has_notes && on_channel(channel, now_ms);
    return is_any;
}

static uint32_t unread(const struct channel *channel)
{
    return atomic_load(&channel->board->notes.next) - channel->notes.read;
}

static unsigned share(void)
{
    return NOTES_A_TURN / (unread_count + 1) + 1;
}

static bool read_share(struct channel *channel, int64_t now_ms)
{
    unsigned count = conn_claims_read(channel, share(), now_ms);

    has_more |= count == share();
    return count > 0;
}

static bool count_unread(struct channel *channel, int64_t now_ms)
{
    (void)now_ms;
    unread_count += unread(channel) > 0;
    return true;
}

static bool look(int64_t now_ms)
{
    has_more = false;
    unread_count = 0;
    visit(count_unread, now_ms);
    return visit(read_share, now_ms);
}

/* Its next note wakes us; or we see one, true: the worker writes, then reads what we write, and we
 * the other way round. */
static bool leave(struct channel *channel, int64_t now_ms)
{
    (void)now_ms;
    atomic_store(&channel->board->notes.looks, 0);
    return unread(channel) > 0;
}

/* A look at that time, or before; not while there is a rest. */
static void expect(int64_t at_ms, int64_t now_ms)
{
    int64_t next_ms = at_ms > rest_until_ms ? at_ms : rest_until_ms;

    if (!loop_timer_runs(&timer) || timer.at_ms > next_ms)
        loop_start_timer(&timer, next_ms > now_ms ? next_ms - now_ms : 0);
}

static void on_time(struct loop_timer *unused)
{
    int64_t begin_us = turn_read_us(CLOCK_MONOTONIC);
    int64_t now_ms = begin_us / 1000;

    (void)unused;
    bool is_any = look(now_ms);
    conn_line_flush();
    tell_read(now_ms);
    rest_until_ms = now_ms + SHARE * (turn_read_us(CLOCK_MONOTONIC) - begin_us) / 1000;
    if (has_more)
        expect(now_ms, now_ms);
    else if (is_any || visit(leave, now_ms))
        expect(now_ms + REST_MS, now_ms);
}

/* A message is little work, whatever its worker has noted: what it notes is read by the timer. */
static void read_channel(struct channel *channel, bool is_over)
{
    int64_t now_ms = turn_read_ms();

    if (!is_over) {
        expect(unread(channel) >= NOTES_MANY ? now_ms : now_ms + REST_MS, now_ms);
        return;
    }
    conn_claims_read(channel, NOTES_MAX, now_ms);
    conn_table_disown(&channel->notes, now_ms);
    tell_read(now_ms);
}

void conn_reading_look(int64_t now_ms)
{
    look(now_ms);
}

static bool go_on(struct channel *channel, int64_t now_ms)
{
    (void)now_ms;
    conn_notes_begin(&channel->board->notes, &channel->notes, false);
    return true;
}

static bool start_anew(struct channel *channel, int64_t now_ms)
{
    (void)now_ms;
    conn_notes_begin(&channel->board->notes, &channel->notes, true);
    channel_set_flag(channel, BOARD_NOTES, rate_is_noted(channel));
    return true;
}

void conn_reading_begin(bool is_new, void (*on_read)(int64_t now_ms))
{
    timer.on_time = on_time;
    tell_read = on_read;
    visit(is_new ? start_anew : go_on, 0);
    channel_set_reader(read_channel);
    loop_start_timer(&timer, 0);
}

static bool stop(struct channel *channel, int64_t now_ms)
{
    channel_set_flag(channel, BOARD_NOTES, false);
    conn_claims_read(channel, NOTES_MAX, now_ms);
    return true;
}

void conn_reading_end(int64_t now_ms)
{
    visit(stop, now_ms);
    channel_set_reader(NULL);
    loop_stop_timer(&timer);
}
