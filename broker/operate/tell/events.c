/* events.c - see events.h. */
#include "broker/operate/tell/events.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/base/broker.h"
#include "broker/base/log/line.h"
#include "broker/base/log/ring.h"

static struct follower {
    struct session *session; /* NULL: this place is free */
    uint64_t next;           /* the number of the line that it gets next */
} followers[EVENTS_FOLLOWERS_MAX];

static struct follower *find(const struct session *session)
{
    for (int i = 0; i < EVENTS_FOLLOWERS_MAX; i++)
        if (followers[i].session == session)
            return &followers[i];
    return NULL;
}

/* Copies the next line, in front of it how many were lost. Gives its length; 0: there is none. */
static size_t get_line(uint64_t *next, char *text)
{
    char line[RING_LINE_SIZE];
    uint64_t number = ring_get(*next, line);
    int used = 0;

    if (number == 0)
        return 0;
    if (number > *next)
        used = sprintf(text,
                       "{\"schema_version\":%d,\"event\":\"events_lost\",\"lost\":%" PRIu64 "}\n",
                       LINE_SCHEMA_VERSION, number - *next);
    strcpy(text + used, line);
    *next = number + 1;
    return (size_t)used + strlen(line);
}

static size_t more(struct session *session, char *text)
{
    struct follower *follower = find(session);

    return follower ? get_line(&follower->next, text) : 0;
}

static void on_close(struct session *session)
{
    struct follower *follower = find(session);

    if (follower)
        follower->session = NULL;
}

/* Not where the event happens: a push may close a session that is in use there. */
static void on_push(struct loop_timer *timer)
{
    (void)timer;
    for (int i = 0; i < EVENTS_FOLLOWERS_MAX; i++)
        if (followers[i].session)
            session_push(followers[i].session);
}

static struct loop_timer push = {.on_time = on_push};

void events_add(const struct log_record *record)
{
    struct line_head head = {.instance = broker.name, .number = ring_next()};
    char line[LINE_SIZE];

    ring_add(line, line_format(LINE_JSON, record, &head, line, RING_LINE_SIZE));
    loop_start_timer(&push, 0);
}

static void tell_all(struct session *session, uint64_t next)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    char line[SESSION_PIECE_MAX];

    while (out && get_line(&next, line))
        fputs(line, out);
    if (out)
        fclose(out);
    session_send_text(session, text, len, EXIT_STOPPED);
}

void events_tell(struct session *session, const struct config_target *asked)
{
    struct follower *place = find(NULL);
    uint64_t after = asked->after == CONFIG_NOT_GIVEN ? 0 : asked->after;
    uint64_t next = after >= ring_next() ? 1 : after + 1;
    char line[RING_LINE_SIZE];
    uint64_t first = ring_get(1, line);

    if (next < first && after == 0) /* it has not asked for those that are gone */
        next = first;
    if (!asked->follow) {
        tell_all(session, next);
    } else if (!place) {
        session_answer(session, 1, "%d processes follow the events already\n",
                       EVENTS_FOLLOWERS_MAX);
    } else {
        *place = (struct follower){session, next};
        session_follow(session, more, on_close);
    }
}
