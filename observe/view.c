/* view.c - see view.h. */
#include "observe/view.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LOOKS_MAX 32 /* bits of busy_looks */

static double now_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double number(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

static void copy_text(const json_t *object, const char *key, char *text, size_t size)
{
    const char *value = json_string_value(json_object_get(object, key));
    snprintf(text, size, "%s", value ? value : "");
}

/* A count that is now smaller is that of another process. */
static double per_second(double now, double before, double seconds)
{
    return seconds > 0 && now >= before ? (now - before) / seconds : 0;
}

/* Its slot's own worker counts for the slot, the others for themselves. */
static const struct view_worker *find_before(const struct view *before,
                                             const struct view_worker *worker)
{
    for (size_t i = 0; before && i < before->workers_count; i++) {
        const struct view_worker *other = &before->workers[i];
        if (other->is_current == worker->is_current && other->slot == worker->slot &&
            (worker->is_current || other->pid == worker->pid))
            return other;
    }
    return NULL;
}

static void note_busy(struct view_worker *worker, const struct view_worker *before)
{
    bool is_busy = strcmp(worker->state, "busy") == 0 || strcmp(worker->state, "stuck") == 0;

    worker->busy_looks = (before ? before->busy_looks << 1 : 0) | is_busy;
    worker->looks_count = before ? before->looks_count + 1 : 1;
    if (worker->looks_count > LOOKS_MAX)
        worker->looks_count = LOOKS_MAX;
    worker->busy_percent =
        100.0 * __builtin_popcount(worker->busy_looks) / (double)worker->looks_count;
}

static void read_worker(struct view_worker *worker, const json_t *object, const struct view *before,
                        double seconds)
{
    struct usage usage;

    worker->slot = (int)number(object, "slot");
    worker->pid = (int)number(object, "pid");
    copy_text(object, "state", worker->state, sizeof worker->state);
    worker->is_current = json_object_get(object, "ends") != NULL;
    worker->accepted = number(object, "accepted");
    worker->open = number(object, "active");
    worker->restarts = number(object, "restarts");
    worker->uptime_s = number(object, "uptime_s");
    if (usage_read_tree(worker->pid, &usage)) {
        worker->cpu_s = usage.cpu_s;
        worker->resident_bytes = usage.resident_bytes;
    }
    const struct view_worker *last = find_before(before, worker);
    note_busy(worker, last);
    if (!last)
        return;
    worker->rate = per_second(worker->accepted, last->accepted, seconds);
    if (last->pid == worker->pid)
        worker->cpu_percent = 100 * per_second(worker->cpu_s, last->cpu_s, seconds);
}

static void read_listener(struct view_listener *listener, const json_t *object,
                          const struct view *before, double seconds)
{
    copy_text(object, "address", listener->address, sizeof listener->address);
    listener->connections = number(object, "connections");
    listener->queued = number(object, "queued");
    listener->limit = number(object, "backlog");
    listener->recalled = number(object, "recalled");
    listener->lost = number(object, "lost");
    listener->held = number(object, "held");
    listener->closed = number(object, "accepted") - number(object, "handed") -
                       number(object, "direct") - listener->held;
    listener->waited_ms = number(object, "waited_ms");
    for (size_t i = 0; before && i < before->listeners_count; i++) {
        const struct view_listener *last = &before->listeners[i];
        if (strcmp(last->address, listener->address) != 0)
            continue;
        listener->rate = per_second(listener->connections, last->connections, seconds);
        listener->all_busy_percent =
            per_second(listener->waited_ms, last->waited_ms, seconds) / 1000 * 100;
        if (listener->all_busy_percent > 100)
            listener->all_busy_percent = 100; /* the two looks are not exactly as far apart */
    }
}

struct view *view_create(const json_t *status, const struct view *before)
{
    const json_t *workers = json_object_get(status, "workers");
    const json_t *listeners = json_object_get(status, "listeners");
    struct view *view = calloc(1, sizeof *view);

    if (!view)
        return NULL;
    view->workers = calloc(json_array_size(workers) + 1, sizeof *view->workers);
    view->listeners = calloc(json_array_size(listeners) + 1, sizeof *view->listeners);
    if (!view->workers || !view->listeners) {
        view_destroy(view);
        return NULL;
    }
    view->at_s = now_s();
    double seconds = before ? view->at_s - before->at_s : 0;
    copy_text(status, "name", view->name, sizeof view->name);
    copy_text(status, "state", view->state, sizeof view->state);
    view->pid = (int)number(status, "pid");
    view->ready = number(status, "ready");
    view->wanted = number(status, "wanted");
    view->uptime_s = number(status, "uptime_s");
    view->workers_count = json_array_size(workers);
    view->listeners_count = json_array_size(listeners);
    for (size_t i = 0; i < view->workers_count; i++)
        read_worker(&view->workers[i], json_array_get(workers, i), before, seconds);
    for (size_t i = 0; i < view->listeners_count; i++)
        read_listener(&view->listeners[i], json_array_get(listeners, i), before, seconds);
    return view;
}

void view_destroy(struct view *view)
{
    if (!view)
        return;
    free(view->workers);
    free(view->listeners);
    free(view);
}

const char *view_sort_name(enum view_sort sort)
{
    static const char *const names[] = {
#define X(name, text) text,
        VIEW_SORTS(X)
#undef X
    };
    return names[sort];
}

static enum view_sort sort_by;

static double key_of(const struct view_worker *worker)
{
    switch (sort_by) {
    case VIEW_SORT_RATE: return -worker->rate;
    case VIEW_SORT_OPEN: return -worker->open;
    case VIEW_SORT_CPU: return -worker->cpu_percent;
    case VIEW_SORT_MEMORY: return -(double)worker->resident_bytes;
    case VIEW_SORT_SLOT: break;
    }
    return worker->slot;
}

static int compare(const void *left, const void *right)
{
    const struct view_worker *a = left;
    const struct view_worker *b = right;
    double difference = key_of(a) - key_of(b);

    if (difference == 0)
        return a->slot != b->slot ? a->slot - b->slot : b->is_current - a->is_current;
    return difference < 0 ? -1 : 1;
}

void view_sort_workers(struct view *view, enum view_sort sort)
{
    sort_by = sort;
    qsort(view->workers, view->workers_count, sizeof *view->workers, compare);
}
