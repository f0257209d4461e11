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

static struct loop_timer timer;
static void (*tell_read)(int64_t now_ms);
static unsigned channel_count; /* at the last look */
static bool has_more;          /* than a turn's share in one of them */

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

static unsigned share(void)
{
    return NOTES_A_TURN / (channel_count + 1) + 1;
}

static bool read_share(struct channel *channel, int64_t now_ms)
{
    unsigned count = conn_claims_read(channel, share(), now_ms);

    has_more |= count == share();
    return count > 0;
}

static bool count_channel(struct channel *channel, int64_t now_ms)
{
    (void)channel;
    (void)now_ms;
    channel_count++;
    return true;
}

static bool look(int64_t now_ms)
{
    has_more = false;
    channel_count = 0;
    visit(count_channel, now_ms);
    return visit(read_share, now_ms);
}

static uint32_t unread(const struct channel *channel)
{
    return atomic_load(&channel->board->notes.next) - channel->notes.read;
}

/* Its next note wakes us; or we see one, true: the worker writes, then reads what we write, and we
 * the other way round. */
static bool leave(struct channel *channel, int64_t now_ms)
{
    (void)now_ms;
    atomic_store(&channel->board->notes.looks, 0);
    return unread(channel) > 0;
}

static void on_time(struct loop_timer *unused)
{
    int64_t now_ms = turn_read_ms();

    (void)unused;
    bool is_any = look(now_ms);
    conn_line_flush();
    tell_read(now_ms);
    if (has_more)
        loop_start_timer(&timer, 0);
    else if (is_any || visit(leave, now_ms))
        loop_start_timer(&timer, REST_MS);
}

static void read_channel(struct channel *channel, bool is_over)
{
    int64_t now_ms = turn_read_ms();

    if (is_over || unread(channel) >= NOTES_MANY)
        conn_claims_read(channel, is_over ? NOTES_MAX : share(), now_ms);
    if (is_over)
        conn_table_disown(&channel->notes, now_ms);
    tell_read(now_ms);
    if (!is_over && !loop_timer_runs(&timer))
        loop_start_timer(&timer, REST_MS);
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
