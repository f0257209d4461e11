/* status.c - one view of slots and listeners, rendered twice. */
#include "broker/operate/tell/status.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/base/broker.h"
#include "broker/base/log.h"
#include "broker/base/turn.h"
#include "broker/handout/waits.h"
#include "broker/life/supervise/fleet.h"
#include "broker/life/restart.h"
#include "broker/life/slot.h"
#include "broker/life/stop.h"
#include "broker/operate/tell/conn_log.h"
#include "broker/operate/tell/conn_log/conn_line.h"
#include "broker/operate/tell/status/view.h"
#include "broker/pool/listener.h"

static const char *const state_names[] = {
#define X(name, text, exit_code) text,
    STATUS_STATES(X)
#undef X
};

static const int exit_codes[] = {
#define X(name, text, exit_code) exit_code,
    STATUS_STATES(X)
#undef X
};

/* A worker that is missing is about to come, unless its slot has failed before, or it is not
 * replaced. */
static bool has_failed_slot(void)
{
    for (unsigned i = 0; i < runtime.workers && i < slot_count(); i++) {
        const struct slot *slot = slot_at(i);
        bool is_ready = slot->worker && slot->worker->state == WORKER_READY;
        if (!is_ready && (slot->failures > 0 || slot->has_ended))
            return true;
    }
    return false;
}

enum status_state status_state(void)
{
    unsigned ready = slot_count_ready();

    if (stop_is_announced())
        return STATUS_STOPPING;
    if (restart_is_under_way() && !restart_is_recycling())
        return STATUS_RESTARTING;
    if (ready == runtime.workers)
        return STATUS_READY;
    if (!has_failed_slot())
        return STATUS_STARTING;
    return ready > 0 ? STATUS_DEGRADED : STATUS_FAILING;
}

int status_exit_code(bool strict)
{
    enum status_state state = status_state();

    if (strict && state != STATUS_READY && exit_codes[state] == 0)
        return EXIT_STATUS_UNKNOWN;
    return exit_codes[state];
}

/* Ready, and in service. */
static unsigned count_serving(void)
{
    return slot_count_ready() - slot_count_held();
}

bool status_is_serving(void)
{
    unsigned at_least = broker.config.ready_min > 0 ? fleet_ready_min() : runtime.workers > 0;

    return fleet_was_ready() && !stop_is_announced() && count_serving() >= at_least;
}

static void print_worker_row(FILE *out, const struct worker_view *view)
{
    fprintf(out, "%4u %8d  %-9s %10" PRIu64 " %7" PRIu64 " %9u %9" PRId64 "s  %s\n", view->slot,
            view->pid, view->state, view->accepted, view->active, view->restarts, view->uptime_s,
            view->via);
}

static void print_counts(FILE *out)
{
    if (runtime.workers > 0)
        fprintf(out, "%u of %u workers are ready", count_serving(), runtime.workers);
    if (slot_count_held() > 0)
        fprintf(out, ", drained: %u", slot_count_held());
    if (runtime.workers == 0 || slot_count_joined() > 0)
        fprintf(out, "%sservers that joined: %u", runtime.workers > 0 ? ", " : "",
                slot_count_joined());
}

/* A line for a listener whose connections the broker holds, or has closed. */
static void print_front(FILE *out, const struct listener_view *view)
{
    const struct front_totals *front = &view->front;

    if (front->held == 0 && front_closed(front) == 0)
        return;
    fprintf(out, "%s: held %u, of these complete %u; closed %" PRIu64, view->address, front->held,
            front->complete, front_closed(front));
    const char *before = ": ";
    for (int why = 0; why < HELD_CLOSINGS_COUNT; why++) {
        if (front->counts.closed[why] == 0)
            continue;
        fprintf(out, "%s%s %" PRIu64, before, held_closing_names[why], front->counts.closed[why]);
        before = ", ";
    }
    putc('\n', out);
}

/* A terminal of 80 columns has room for it, unless an address is long. */
static void print_listeners(FILE *out)
{
    struct listener *listener;
    char address[VIEW_TEXT_MAX];
    size_t width = strlen("255.255.255.255:65535");

    TAILQ_FOREACH(listener, &listeners, all) {
        struct listener_view view = view_listener(listener);
        view_describe(&view, address);
        if (strlen(address) > width)
            width = strlen(address);
    }
    fprintf(out, "%-*s %7s %6s %9s %9s %9s %8s %4s\n", (int)width, "LISTENER", "BACKLOG", "QUEUED",
            "ACCEPTED", "HANDED", "DIRECT", "RECALLED", "LOST");
    TAILQ_FOREACH(listener, &listeners, all) {
        struct listener_view view = view_listener(listener);
        view_describe(&view, address);
        fprintf(out,
                "%-*s %7d %6d %9" PRIu64 " %9" PRIu64 " %9" PRIu64 " %8" PRIu64 " %4" PRIu64 "\n",
                (int)width, address, view.backlog, view.queued, view.totals.accepted,
                view.totals.handed, view.totals.direct, view.totals.recalled, view.totals.lost);
    }
}

char *status_render_table(size_t *len)
{
    char *text = NULL;
    FILE *out = open_memstream(&text, len);
    struct listener *listener;

    if (!out)
        return NULL;
    fprintf(out, "%s (pid %d) is %s: ", broker.name, (int)getpid(), state_names[status_state()]);
    print_counts(out);
    fputs("\n\n", out);
    print_listeners(out);
    TAILQ_FOREACH(listener, &listeners, all) {
        struct listener_view view = view_listener(listener);
        print_front(out, &view);
    }
    fprintf(out, "\n%4s %8s  %-9s %10s %7s %9s %10s  %s\n", "SLOT", "PID", "STATE", "ACCEPTED",
            "OPEN", "RESTARTS", "UPTIME", "VIA");
    view_each_worker(print_worker_row, out);
    fclose(out);
    return text;
}

static void print_json_string(FILE *out, const char *text)
{
    putc('"', out);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            putc('\\', out);
        if ((unsigned char)*text < 0x20)
            fprintf(out, "\\u%04x", *text);
        else
            putc(*text, out);
    }
    putc('"', out);
}

static void print_json_ends(FILE *out, const unsigned *ends)
{
    fputs(",\"ends\":{", out);
    for (unsigned i = 0; i < WORKER_ENDS_COUNT; i++)
        fprintf(out, "%s\"%s\":%u", i ? "," : "", worker_end_name((enum worker_end)i), ends[i]);
    putc('}', out);
}

static const char *json_comma; /* between the elements of the array being printed */

static void print_json_worker(FILE *out, const struct worker_view *view)
{
    fprintf(out,
            "%s{\"slot\":%u,\"pid\":%d,\"state\":\"%s\",\"accepted\":%" PRIu64
            ",\"active\":%" PRIu64 ",\"restarts\":%u,\"uptime_s\":%" PRId64 ",\"via\":\"%s\"",
            json_comma, view->slot, view->pid, view->state, view->accepted, view->active,
            view->restarts, view->uptime_s, view->via);
    if (view->ends)
        print_json_ends(out, view->ends);
    putc('}', out);
    json_comma = ",";
}

/* Of connections that were accepted before a worker was idle for them. */
static void print_json_front(FILE *out, const struct front_totals *front)
{
    fprintf(out, ",\"held\":%u,\"held_complete\":%u", front->held, front->complete);
    for (int why = 0; why < HELD_CLOSINGS_COUNT; why++)
        fprintf(out, ",\"%s\":%" PRIu64, held_closing_names[why], front->counts.closed[why]);
}

/* How long connections had waited when they were handed over. */
static void print_json_waits(FILE *out, const struct listener *listener)
{
    if (!broker.config.metrics && !conn_log_is_on()) {
        fputs(",\"handover_waits\":null", out);
        return;
    }
    fprintf(out, ",\"handover_waits\":{\"sum_ms\":%" PRIu64 ",\"limits_ms\":[",
            listener->waits.sum_ms);
    for (int i = 0; i < LISTENER_WAITS - 1; i++)
        fprintf(out, "%s%u", i ? "," : "", waits_limits_ms[i]);
    fputs("],\"counts\":[", out);
    for (int i = 0; i < LISTENER_WAITS; i++)
        fprintf(out, "%s%" PRIu64, i ? "," : "", listener->waits.count[i]);
    fputs("]}", out);
}

static void print_json_listener(FILE *out, const struct listener *listener,
                                const struct listener_view *view)
{
    fputs("{\"address\":", out);
    print_json_string(out, view->address);
    fputs(",\"asked\":", out);
    print_json_string(out, view->asked);
    fputs(",\"name\":", out);
    print_json_string(out, view->name);
    if (view->leader >= 0)
        fprintf(out, ",\"leader\":%d", view->leader);
    else
        fputs(",\"leader\":null", out);
    fprintf(out,
            ",\"backlog\":%d,\"queued\":%d,\"accepted\":%" PRIu64 ",\"handed\":%" PRIu64
            ",\"direct\":%" PRIu64 ",\"recalled\":%" PRIu64 ",\"taken\":%" PRIu64
            ",\"lost\":%" PRIu64 ",\"untaken\":%" PRIu64 ",\"connections\":%" PRIu64
            ",\"shut_downs\":%" PRIu64 ",\"waited_ms\":%" PRId64,
            view->backlog, view->queued, view->totals.accepted, view->totals.handed,
            view->totals.direct, view->totals.recalled, view->totals.taken, view->totals.lost,
            view->totals.untaken, view->totals.connections, view->shut_downs, view->waited_ms);
    print_json_front(out, &view->front);
    print_json_waits(out, listener);
    putc('}', out);
}

char *status_render_json(size_t *len)
{
    char *text = NULL;
    FILE *out = open_memstream(&text, len);
    struct listener *listener;
    const char *comma = "";

    if (!out)
        return NULL;
    fputs("{\"name\":", out);
    print_json_string(out, broker.name);
    fprintf(out, ",\"schema_version\":%d", STATUS_SCHEMA_VERSION);
    fprintf(out,
            ",\"pid\":%d,\"state\":\"%s\",\"ready\":%u,\"wanted\":%u,\"drained\":%u,"
            "\"joined\":%u,\"workers\":[",
            (int)getpid(), state_names[status_state()], count_serving(), runtime.workers,
            slot_count_held(), slot_count_joined());
    json_comma = "";
    view_each_worker(print_json_worker, out);
    fputs("],\"listeners\":[", out);
    comma = "";
    TAILQ_FOREACH(listener, &listeners, all) {
        struct listener_view view = view_listener(listener);
        fputs(comma, out);
        print_json_listener(out, listener, &view);
        comma = ",";
    }
    fprintf(out,
            "],\"longest_turn_ms\":%u,\"log_dropped\":%" PRIu64 ",\"conn_log_dropped\":%" PRIu64
            ",\"uptime_s\":%" PRId64 ",\"serving\":%s,\"last_restart\":\"%s\"}\n",
            turn_longest_ms(), log_dropped(), conn_line_dropped(),
            (loop_now_ms() - broker.started_ms) / 1000, status_is_serving() ? "true" : "false",
            result_name());
    fclose(out);
    return text;
}

static const char *first_address(char *text)
{
    const struct listener *listener = TAILQ_FIRST(&listeners);

    if (!listener)
        return "-";
    socket_key_format(&listener->socket, &listener->bound, text);
    return text;
}

char *status_render_row(size_t *len)
{
    char address[SOCKET_KEY_TEXT_MAX];
    char ready[32];
    char *text = NULL;
    FILE *out = open_memstream(&text, len);

    if (!out)
        return NULL;
    if (runtime.workers > 0)
        snprintf(ready, sizeof ready, "%5u of %-5u", count_serving(), runtime.workers);
    else
        snprintf(ready, sizeof ready, "%5u joined", slot_count_joined());
    fprintf(out, "%-20s %8d  %-10s %-14s %s\n", broker.name, (int)getpid(),
            state_names[status_state()], ready, first_address(address));
    fclose(out);
    return text;
}

char *status_render_item(size_t *len)
{
    char *text = NULL;
    FILE *out = open_memstream(&text, len);

    if (!out)
        return NULL;
    fputs("{\"name\":", out);
    print_json_string(out, broker.name);
    fprintf(out, ",\"schema_version\":%d", STATUS_SCHEMA_VERSION);
    fputs(",\"control\":", out);
    print_json_string(out, broker.control_path);
    fprintf(out, ",\"pid\":%d,\"state\":\"%s\",\"ready\":%u,\"wanted\":%u,\"joined\":%u}\n",
            (int)getpid(), state_names[status_state()], count_serving(), runtime.workers,
            slot_count_joined());
    fclose(out);
    return text;
}

void status_describe(char *text, size_t size)
{
    const struct listener *listener;
    const struct worker *worker;
    uint64_t connections = 0;
    int queued = 0;

    LIST_FOREACH(worker, &workers, all)
        connections += worker_active(worker);
    TAILQ_FOREACH(listener, &listeners, all)
        queued += view_listener(listener).queued;
    unsigned joined = slot_count_joined();
    snprintf(text, size, "%s: %u of %u workers serve, %" PRIu64 " connections, %d in the queue",
             state_names[status_state()], count_serving() + joined, runtime.workers + joined,
             connections, queued);
}
