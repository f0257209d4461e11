/* await.c - see await.h. */
#include "broker/operate/steer/await.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/base/log.h"
#include "broker/base/loop.h"
#include "broker/life/stop.h"

#define LOOK_MS 20

struct await_queue awaits = TAILQ_HEAD_INITIALIZER(awaits);

static struct loop_timer look_timer;

static void on_session_gone(struct session *session)
{
    struct await *await;

    TAILQ_FOREACH(await, &awaits, all)
        if (await->session == session)
            await->session = NULL;
}

bool await_end(struct await *await, int exit_code, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(await->text, sizeof await->text, format, arguments);
    va_end(arguments);
    await->exit_code = exit_code;
    return true;
}

static void answer(struct await *await)
{
    TAILQ_REMOVE(&awaits, await, all);
    for (const char *end, *line = await->text; (end = strchr(line, '\n')) != NULL; line = end + 1)
        log_info("%.*s", (int)(end - line), line);
    if (await->session)
        session_answer(await->session, await->exit_code, "%s", await->text);
    free(await);
}

static void on_look(struct loop_timer *timer)
{
    struct await *await = TAILQ_FIRST(&awaits);

    while (await) {
        struct await *next = TAILQ_NEXT(await, all);
        if (await->is_over(await) ||
            (stop_is_under_way() && await_end(await, 1, "given up: the broker stops\n")))
            answer(await);
        await = next;
    }
    if (!TAILQ_EMPTY(&awaits))
        loop_start_timer(timer, LOOK_MS);
}

bool await_begin(const struct await *like)
{
    struct await *await = malloc(sizeof *await);

    if (!await)
        return false;
    *await = *like;
    await->begun_ms = loop_now_ms();
    if (await->session)
        session_await(await->session, on_session_gone);
    TAILQ_INSERT_TAIL(&awaits, await, all);
    look_timer.on_time = on_look;
    loop_ensure_timer(&look_timer, 0);
    return true;
}
