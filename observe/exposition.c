/* exposition.c - see exposition.h. One table for each kind of label. */
#include "observe/exposition.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "observe/usage.h"

/* A member of a status object as a metric: its value times scale. */
struct family {
    const char *name, *type, *key;
    double scale;
    const char *help;
};

static const struct family totals[] = {
    {"sshim_workers_wanted", "gauge", "wanted", 1, "Workers that are to run."},
    {"sshim_workers_ready", "gauge", "ready", 1, "Workers that are ready and in service."},
    {"sshim_workers_drained", "gauge", "drained", 1, "Workers that are drained by the operator."},
    {"sshim_longest_turn_seconds", "gauge", "longest_turn_ms", 1e-3,
     "Longest time for which the broker's loop worked without a wait."},
    {"sshim_uptime_seconds", "gauge", "uptime_s", 1, "Time since this broker began."},
    {"sshim_log_lines_dropped_total", "counter", "log_dropped", 1,
     "Log lines that could not be written."},
    {"sshim_conn_log_lines_dropped_total", "counter", "conn_log_dropped", 1,
     "Lines of --conn-log that could not be written."},
};

static const struct family of_listeners[] = {
    {"sshim_connections_total", "counter", "connections", 1,
     "Connections that were accepted, each counted once."},
    {"sshim_accepted_total", "counter", "accepted", 1,
     "Connections handed over, taken directly, held or closed by the broker; one that was "
     "recalled counts again."},
    {"sshim_handed_total", "counter", "handed", 1, "Connections that the broker sent to a worker."},
    {"sshim_direct_total", "counter", "direct", 1, "Connections that a worker accepted by itself."},
    {"sshim_recalled_total", "counter", "recalled", 1,
     "Connections taken back from a worker that had not accepted them."},
    {"sshim_lost_total", "counter", "lost", 1, "Connections that were lost on the way."},
    {"sshim_untaken_connections", "gauge", "untaken", 1,
     "Connections that a worker was sent and has not accepted yet."},
    {"sshim_held_connections", "gauge", "held", 1,
     "Connections that the broker has accepted and not given to a worker."},
    {"sshim_queue_connections", "gauge", "queued", 1, "Connections in the kernel's queue."},
    {"sshim_queue_limit_connections", "gauge", "backlog", 1, "Length of the kernel's queue."},
    {"sshim_all_busy_seconds_total", "counter", "waited_ms", 1e-3,
     "Time for which connections waited because no worker was idle."},
};

/* Why the broker closed a connection itself: members of a listener, values of one label. */
static const char *const closings[] = {"hold_timeouts", "hung_up", "hold_evicted",
                                       "hold_shut",     "dead",    "proxy_rejected",
                                       "limited",       "denied",  "full"};

static const struct family of_slots[] = {
    {"sshim_worker_accepted_total", "counter", "accepted", 1, "Connections that a slot accepted."},
    {"sshim_worker_open_connections", "gauge", "active", 1, "Connections that are open."},
    {"sshim_worker_restarts_total", "counter", "restarts", 1, "Starts of a slot after the first."},
};

static const char *const states[] = {"starting", "ready",      "degraded",
                                     "failing",  "restarting", "stopping"};
static const char *const worker_states[] = {"starting", "ready",   "busy",  "stuck", "draining",
                                            "drained",  "backoff", "ended", "gone"};

#define HANDOVER_WAIT "sshim_handover_wait_seconds"
#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static void print_head(FILE *out, const char *name, const char *type, const char *help)
{
    fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* A label's value in quotes. */
static void print_quoted(FILE *out, const char *text)
{
    putc('"', out);
    for (; *text; text++) {
        if (*text == '\\' || *text == '"')
            putc('\\', out);
        putc(*text == '\n' ? ' ' : *text, out);
    }
    putc('"', out);
}

static double number(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

static const char *text(const json_t *object, const char *key)
{
    const char *value = json_string_value(json_object_get(object, key));
    return value ? value : "";
}

static void print_totals(FILE *out, const json_t *status)
{
    for (size_t i = 0; i < COUNT(totals); i++) {
        const struct family *family = &totals[i];
        if (!json_object_get(status, family->key))
            continue; /* a broker of another version */
        print_head(out, family->name, family->type, family->help);
        fprintf(out, "%s %.15g\n", family->name, number(status, family->key) * family->scale);
    }
}

static void print_instance(FILE *out, const json_t *status)
{
    const char *last = text(status, "last_restart");

    print_head(out, "sshim_info", "gauge", "The name of the instance.");
    fputs("sshim_info{name=", out);
    print_quoted(out, text(status, "name"));
    fputs("} 1\n", out);
    print_head(out, "sshim_state", "gauge", "1 for the state that the instance is in.");
    for (size_t i = 0; i < COUNT(states); i++)
        fprintf(out, "sshim_state{state=\"%s\"} %d\n", states[i],
                strcmp(states[i], text(status, "state")) == 0);
    print_head(out, "sshim_serving", "gauge", "1: clients should be sent here.");
    fprintf(out, "sshim_serving %d\n", json_is_true(json_object_get(status, "serving")));
    if (strcmp(last, "done") != 0 && strcmp(last, "aborted") != 0)
        return;
    print_head(out, "sshim_last_restart_success", "gauge", "0: the last restart was aborted.");
    fprintf(out, "sshim_last_restart_success %d\n", strcmp(last, "done") == 0);
}

static void print_listeners(FILE *out, const json_t *listeners)
{
    size_t number_of;
    json_t *listener;

    for (size_t i = 0; i < COUNT(of_listeners) && json_array_size(listeners) > 0; i++) {
        const struct family *family = &of_listeners[i];
        print_head(out, family->name, family->type, family->help);
        json_array_foreach(listeners, number_of, listener)
        {
            fprintf(out, "%s{listener=", family->name);
            print_quoted(out, text(listener, "address"));
            fprintf(out, "} %.15g\n", number(listener, family->key) * family->scale);
        }
    }
}

/* NAME_bucket{listener="...",le="0.005"}: of all that waited no longer. */
static void print_buckets(FILE *out, const char *address, const json_t *waits)
{
    const json_t *limits = json_object_get(waits, "limits_ms");
    const json_t *counts = json_object_get(waits, "counts");
    double sum = 0;

    for (size_t i = 0; i < json_array_size(counts); i++) {
        const json_t *limit = json_array_get(limits, i);
        sum += json_number_value(json_array_get(counts, i));
        fprintf(out, HANDOVER_WAIT "_bucket{listener=");
        print_quoted(out, address);
        if (limit)
            fprintf(out, ",le=\"%g\"} %.15g\n", json_number_value(limit) / 1000, sum);
        else
            fprintf(out, ",le=\"+Inf\"} %.15g\n", sum);
    }
    fprintf(out, HANDOVER_WAIT "_sum{listener=");
    print_quoted(out, address);
    fprintf(out, "} %.15g\n" HANDOVER_WAIT "_count{listener=", number(waits, "sum_ms") / 1000);
    print_quoted(out, address);
    fprintf(out, "} %.15g\n", sum);
}

static void print_waits(FILE *out, const json_t *listeners)
{
    size_t i;
    json_t *listener;

    if (!json_is_object(json_object_get(json_array_get(listeners, 0), "handover_waits")))
        return; /* not measured, a broker of another version, or no listener */
    print_head(
        out, HANDOVER_WAIT, "histogram",
        "Time from the handshake of a connection until the broker sent it to a worker; those "
        "that a worker accepted by itself are not in it.");
    json_array_foreach(listeners, i, listener)
        print_buckets(out, text(listener, "address"), json_object_get(listener, "handover_waits"));
}

static void print_closings(FILE *out, const json_t *listeners)
{
    size_t number_of;
    json_t *listener;

    if (!json_object_get(json_array_get(listeners, 0), closings[0]))
        return; /* a broker of another version, or no listener */
    print_head(out, "sshim_closed_total", "counter",
               "Connections that the broker closed itself, by reason.");
    json_array_foreach(listeners, number_of, listener)
    {
        for (size_t i = 0; i < COUNT(closings); i++) {
            fputs("sshim_closed_total{listener=", out);
            print_quoted(out, text(listener, "address"));
            fprintf(out, ",reason=\"%s\"} %.15g\n", closings[i], number(listener, closings[i]));
        }
    }
}

/* In each slot one worker has "ends"; others of it drain, or are about to take over. */
static bool is_of_slot(const json_t *worker)
{
    return json_object_get(worker, "ends") != NULL;
}

/* Of all workers of this slot together. */
static double sum_of_slot(const json_t *workers, double slot, const char *key)
{
    size_t i;
    json_t *worker;
    double sum = 0;

    json_array_foreach(workers, i, worker) if (number(worker, "slot") == slot) sum +=
        number(worker, key);
    return sum;
}

static void print_slots(FILE *out, const json_t *workers)
{
    size_t j;
    json_t *worker;

    for (size_t i = 0; i < COUNT(of_slots); i++) {
        const struct family *family = &of_slots[i];
        print_head(out, family->name, family->type, family->help);
        json_array_foreach(workers, j, worker)
        {
            double slot = number(worker, "slot");
            if (is_of_slot(worker))
                fprintf(out, "%s{worker=\"%.0f\"} %.15g\n", family->name, slot,
                        sum_of_slot(workers, slot, family->key) * family->scale);
        }
    }
}

static void print_ends(FILE *out, const json_t *workers)
{
    size_t i;
    json_t *worker, *count;
    const char *cause;

    print_head(out, "sshim_worker_ends_total", "counter",
               "Workers of a slot that ended, by cause.");
    json_array_foreach(workers, i, worker)
        json_object_foreach(json_object_get(worker, "ends"), cause, count)
            fprintf(out, "sshim_worker_ends_total{worker=\"%.0f\",cause=\"%s\"} %.15g\n",
                    number(worker, "slot"), cause, json_number_value(count));
}

static void print_worker_states(FILE *out, const json_t *workers)
{
    size_t j;
    json_t *worker;

    print_head(out, "sshim_workers", "gauge", "Workers by what they do.");
    for (size_t i = 0; i < COUNT(worker_states); i++) {
        unsigned count = 0;
        json_array_foreach(workers, j, worker) count +=
            strcmp(text(worker, "state"), worker_states[i]) == 0;
        fprintf(out, "sshim_workers{state=\"%s\"} %u\n", worker_states[i], count);
    }
}

static void print_usage(FILE *out, const json_t *workers)
{
    size_t i;
    json_t *worker;
    struct usage *usages = calloc(json_array_size(workers) + 1, sizeof *usages);

    if (!usages)
        return;
    json_array_foreach(
        workers, i, worker) if (!is_of_slot(worker) ||
                                !usage_read_tree((int)number(worker, "pid"), &usages[i])) usages[i]
        .started_s = 0; /* there is none */
    print_head(out, "sshim_worker_cpu_seconds_total", "counter",
               "CPU time of a worker's processes.");
    json_array_foreach(workers, i, worker) if (usages[i].started_s > 0)
        fprintf(out, "sshim_worker_cpu_seconds_total{worker=\"%.0f\"} %.2f\n",
                number(worker, "slot"), usages[i].cpu_s);
    print_head(out, "sshim_worker_resident_memory_bytes", "gauge",
               "Resident memory of a worker's processes.");
    json_array_foreach(workers, i, worker) if (usages[i].started_s > 0)
        fprintf(out, "sshim_worker_resident_memory_bytes{worker=\"%.0f\"} %" PRIu64 "\n",
                number(worker, "slot"), usages[i].resident_bytes);
    free(usages);
}

static void print_one(FILE *out, const char *name, const char *type, const char *help, double value)
{
    print_head(out, name, type, help);
    fprintf(out, "%s %.15g\n", name, value);
}

/* The broker's own, by the names that every exporter has. */
static void print_process(FILE *out, int pid)
{
    struct usage usage;
    uint64_t open_files, limit;

    if (!usage_read(pid, &usage))
        return;
    print_one(out, "process_cpu_seconds_total", "counter", "CPU time of the broker.", usage.cpu_s);
    print_one(out, "process_resident_memory_bytes", "gauge", "Resident memory of the broker.",
              (double)usage.resident_bytes);
    print_one(out, "process_virtual_memory_bytes", "gauge", "Virtual memory of the broker.",
              (double)usage.virtual_bytes);
    print_one(out, "process_start_time_seconds", "gauge", "When the broker's process began.",
              usage.started_s);
    usage_count_files(pid, &open_files, &limit);
    if (open_files > 0)
        print_one(out, "process_open_fds", "gauge", "Open files of the broker.",
                  (double)open_files);
    if (limit > 0)
        print_one(out, "process_max_fds", "gauge", "Limit of open files of the broker.",
                  (double)limit);
}

char *exposition_render(const json_t *status, size_t *len)
{
    char *rendered = NULL;
    FILE *out = open_memstream(&rendered, len);
    const json_t *workers = json_object_get(status, "workers");

    if (!out)
        return NULL;
    print_instance(out, status);
    print_totals(out, status);
    print_listeners(out, json_object_get(status, "listeners"));
    print_waits(out, json_object_get(status, "listeners"));
    print_closings(out, json_object_get(status, "listeners"));
    print_worker_states(out, workers);
    print_slots(out, workers);
    print_ends(out, workers);
    print_usage(out, workers);
    print_process(out, (int)number(status, "pid"));
    if (fclose(out) == 0)
        return rendered;
    free(rendered);
    errno = ENOMEM;
    return NULL;
}
