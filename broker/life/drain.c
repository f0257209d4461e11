/* drain.c - see drain.h. */
#include "broker/life/drain.h"

#include <signal.h>

#include "broker/base/broker.h"
#include "broker/base/journal.h"
#include "broker/base/log.h"
#include "broker/handout/recall.h"
#include "broker/life/descendants.h"
#include "broker/pool/listener.h"

#define LOOK_MS 10 /* between looks at the scoreboard */
#define LOOKS_AT_REST                                                                              \
    3 /* looks in a row that must find no open connection: counters lag behind the calls */
#define KILL_AFTER_MS 5000 /* what does not end on TERM */

static void on_kill_time(struct loop_timer *timer)
{
    worker_signal(loop_container(timer, struct worker, start_timer), SIGKILL);
}

static void terminate(struct worker *worker)
{
    descendants_signal_servers(worker, SIGTERM);
    worker->start_timer.on_time = on_kill_time;
    /* open connections of a worker with a filter are not known: it finishes by itself */
    loop_start_timer(&worker->start_timer,
                     worker_is_notified(worker) ? worker_stop_timeout_ms(worker) : KILL_AFTER_MS);
}

static void on_look(struct loop_timer *timer)
{
    struct worker *worker = loop_container(timer, struct worker, start_timer);
    bool is_late = loop_now_ms() - worker->drain_ms >= worker_stop_timeout_ms(worker);

    worker->looks_at_rest = worker_is_at_rest(worker) ? worker->looks_at_rest + 1 : 0;
    if (is_late)
        log_info("worker %u (pid %d) still has connections after %lld s; ending it", worker->slot,
                 (int)worker->pid, (long long)worker_stop_timeout_ms(worker) / 1000);
    if (is_late || worker->looks_at_rest >= LOOKS_AT_REST)
        terminate(worker);
    else
        loop_start_timer(timer, LOOK_MS);
}

void drain_begin(struct worker *worker)
{
    struct channel *channel;

    log_event(LOG_LEVEL_VERBOSE, LOG_WORKER_DRAIN,
              LOG_FACTS(LOG_NUMBER("worker", worker->slot), LOG_NUMBER("pid", worker->pid)),
              "worker %u (pid %d) drains", worker->slot, (int)worker->pid);
    worker_set_state(worker, WORKER_DRAINING);
    if (!worker->drain_ms) /* else it drained under the broker before us */
        worker->drain_ms = loop_now_ms();
    worker->looks_at_rest = 0;
    worker_ask_end(worker, WORKER_END_OPERATOR);
    worker_tell_over(worker);
    LIST_FOREACH(channel, &worker->channels, of_worker) {
        channel_set_queue(channel, BOARD_QUEUE_EMPTY);
        listener_retire_if_unused(channel->listener);
    }
    recall_all_of(worker);
    worker->start_timer.on_time = on_look;
    loop_start_timer(&worker->start_timer, LOOK_MS);
}
