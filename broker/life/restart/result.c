/* result.c - see result.h. */
#include "broker/life/restart/result.h"

#include <stdio.h>
#include <string.h>

#include "broker/base/journal.h"
#include "broker/base/log.h"
#include "broker/base/options.h"
#include "broker/life/restart/waiters.h"

/* The one that ended last; is_resumed: it was begun by the broker before us. */
static struct {
    bool is_resumed;
    struct restart_result result;
    char text[WAITERS_TEXT_MAX];
} ended;

static const char *workers_were(unsigned count)
{
    return count == 1 ? "worker was" : "workers were";
}

/* Writes ended.text, one log line for each line of it. Returns the exit code of the commands. */
static int describe(const struct result_facts *facts)
{
    char *text = ended.text;
    size_t size = sizeof ended.text;
    int used;

    if (facts->is_aborted)
        used = snprintf(text, size, "restart aborted: %s; %u of %u %s replaced, the others go on\n",
                        facts->reason, facts->replaced, facts->wanted, workers_were(facts->wanted));
    else
        used = snprintf(text, size, "%u of %u %s replaced\n", facts->replaced, facts->wanted,
                        workers_were(facts->wanted));
    if (facts->joined > 0 && used > 0 && (size_t)used < size)
        snprintf(
            text + used, size - (size_t)used,
            "servers that joined and were left out: %u; restart them where they were started\n",
            facts->joined);
    return facts->is_aborted || facts->joined > 0 ? 1 : EXIT_STOPPED;
}

/* The first line is the event. */
static void log_result(const struct result_facts *about)
{
    const struct log_fact *facts =
        LOG_FACTS(LOG_NUMBER("replaced", about->replaced), LOG_NUMBER("wanted", about->wanted),
                  LOG_TEXT("reason", about->reason));
    enum log_level level = about->is_aborted ? LOG_LEVEL_QUIET : LOG_LEVEL_NORMAL;
    enum log_event event = about->is_aborted ? LOG_RESTART_FAILED : LOG_RESTART_DONE;
    const char *text = ended.text;

    for (const char *end; (end = strchr(text, '\n')) != NULL; text = end + 1) {
        log_event(level, event, facts, "%.*s", (int)(end - text), text);
        event = LOG_MESSAGE;
    }
}

void result_tell(const struct result_facts *facts)
{
    ended.result = (struct restart_result){.exit_code = (uint8_t)describe(facts),
                                           .is_aborted = facts->is_aborted,
                                           .replaced = (uint16_t)facts->replaced,
                                           .wanted = (uint16_t)facts->wanted};
    log_result(facts);
    bool is_due = waiters_end(ended.text, ended.result.exit_code, facts->is_aborted);
    ended.result.is_due = is_due || ended.is_resumed; /* or one may wait at the broker before us */
}

const char *result_name(void)
{
    return !ended.text[0] ? "none" : ended.result.is_aborted ? "aborted" : "done";
}

struct restart_result result_due(void)
{
    return ended.result.is_due ? ended.result : (struct restart_result){0};
}

void result_set_answered(void)
{
    if (ended.result.is_due)
        journal_touch();
    ended.result.is_due = false;
}

/* The reason, and what else is to be said, is in the log of the broker before. */
void result_resume(const struct restart_result *result)
{
    if (!result->is_due)
        return;
    ended.is_resumed = true;
    ended.result = *result;
    snprintf(ended.text, sizeof ended.text, "%s%u of %u %s replaced%s\n",
             result->is_aborted ? "restart aborted: " : "", result->replaced, result->wanted,
             workers_were(result->wanted), result->exit_code ? "; the log says more" : "");
}

void result_expect(void)
{
    ended.is_resumed = true;
}

bool result_is_resumed(void)
{
    return ended.is_resumed && ended.text[0];
}

void result_answer(void)
{
    waiters_end(ended.text, ended.result.exit_code, false);
}
