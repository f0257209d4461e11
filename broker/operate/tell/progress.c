/* progress.c - see progress.h. */
#include "broker/operate/tell/progress.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "broker/base/broker.h"
#include "broker/base/log.h"
#include "broker/base/loop.h"
#include "broker/life/supervise/fleet.h"
#include "broker/life/slot.h"
#include "broker/life/stop.h"

#define FIRST_MS 300 /* a start that is faster shows nothing */

static bool is_over;
static struct loop_timer timer;

static void on_time(struct loop_timer *unused)
{
    (void)unused;
    progress_review();
}

void progress_review(void)
{
    int64_t since_ms = loop_now_ms() - broker.started_ms;
    char text[LOG_PROGRESS_SIZE];

    if (is_over)
        return;
    snprintf(text, sizeof text, "starting: %u of %u workers are ready (%" PRId64 " s)",
             slot_count_ready(), runtime.workers, since_ms / 1000);
    is_over = fleet_was_ready() || stop_is_announced() || runtime.workers == 0;
    bool is_due = since_ms >= FIRST_MS;
    if ((is_due || is_over) && !log_set_progress(is_over ? NULL : text))
        is_over = true;
    timer.on_time = on_time;
    if (is_over)
        loop_stop_timer(&timer);
    else
        loop_start_timer(&timer, is_due ? 1000 - since_ms % 1000 : FIRST_MS - since_ms);
}
