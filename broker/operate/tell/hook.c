/* hook.c - see hook.h. */
#include "broker/operate/tell/hook.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/base/broker.h"
#include "broker/base/log/line.h"
#include "broker/base/loop.h"
#include "broker/base/process/signal.h"
#include "broker/life/launch/command.h"

/* Rare ones, of which somebody may want to be told. */
static const enum log_event told[] = {
    LOG_START,       LOG_RESUME,     LOG_READY,        LOG_STOP,           LOG_WORKER_STUCK,
    LOG_WORKER_EXIT, LOG_CRASH_LOOP, LOG_RESTART_DONE, LOG_RESTART_FAILED,
};

static char *queue[HOOK_QUEUE_MAX]; /* variables, see command_start() */
static unsigned queued;
static struct loop_timer deadline;
static bool is_late;
static bool has_failed; /* and it was said */

static bool is_told(enum log_event event)
{
    for (size_t i = 0; i < sizeof told / sizeof told[0]; i++)
        if (told[i] == event)
            return true;
    return false;
}

static void put(FILE *out, const char *name, const char *value)
{
    fputs("SSHIM_EVENT", out);
    if (*name)
        putc('_', out);
    for (; *name; name++)
        putc(toupper((unsigned char)*name), out);
    fprintf(out, "=%s", value);
    putc('\0', out);
}

/* On the heap; NULL: out of memory. */
static char *describe(const struct log_record *record)
{
    char *text = NULL;
    size_t len;
    char number[24];
    FILE *out = open_memstream(&text, &len);

    if (!out)
        return NULL;
    put(out, "", line_event_name(record->event));
    put(out, "instance", broker.name);
    put(out, "control", broker.control_path);
    put(out, "msg", record->message);
    for (const struct log_fact *fact = record->facts; fact && fact->name; fact++) {
        snprintf(number, sizeof number, "%" PRId64, fact->number);
        put(out, fact->name, fact->text ? fact->text : number);
    }
    putc('\0', out);
    return fclose(out) == 0 ? text : NULL;
}

static void tell_failure(const char *what, int number)
{
    if (!has_failed)
        log_error("the command of --on-event %s %d; further failures are not logged", what, number);
    has_failed = true;
}

static void on_late(struct loop_timer *timer)
{
    (void)timer;
    is_late = true;
    signal_group(runtime.hook_pid, SIGKILL);
}

static void drop_first(void)
{
    free(queue[0]);
    memmove(queue, queue + 1, --queued * sizeof *queue);
}

static void start_next(void)
{
    while (queued > 0 && !runtime.hook_pid) {
        pid_t pid = command_start(queue[0]);
        drop_first();
        if (pid < 0) {
            tell_failure("cannot be started, errno", errno);
            continue;
        }
        runtime.hook_pid = pid;
        is_late = false;
        deadline.on_time = on_late;
        loop_start_timer(&deadline, (int64_t)HOOK_MAX_S * 1000);
    }
}

void hook_note(const struct log_record *record)
{
    static bool is_stopping;

    if (!broker.config.on_event || !is_told(record->event) || is_stopping)
        return;
    if (record->event == LOG_STOP) { /* the last one: the end must not wait for others */
        is_stopping = true;
        while (queued > 0)
            drop_first();
    }
    if (queued == HOOK_QUEUE_MAX) {
        tell_failure("is too slow; events that wait for it:", HOOK_QUEUE_MAX);
        return;
    }
    queue[queued] = describe(record);
    queued += queue[queued] != NULL;
    start_next();
}

bool hook_on_child_end(const siginfo_t *info)
{
    if (!runtime.hook_pid || info->si_pid != runtime.hook_pid)
        return false;
    runtime.hook_pid = 0;
    loop_stop_timer(&deadline);
    if (is_late)
        tell_failure("was killed, since it took longer than the seconds", HOOK_MAX_S);
    else if (info->si_code != CLD_EXITED)
        tell_failure("was ended by signal", info->si_status);
    else if (info->si_status != 0)
        tell_failure("exited with status", info->si_status);
    else
        has_failed = false;
    start_next();
    return true;
}
