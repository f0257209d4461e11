/* line.c - see line.h. */
#include "broker/base/log/line.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "broker/base/log/digits.h"

/* Behind the longest value: quotes, brackets, the newline and a zero. */
#define TAIL 8
#define NAME_END_MAX 2 /* between a name and its number */
#define TIME_LEN 24    /* 2026-09-21T14:18:19.999Z */

static const char *const event_names[] = {
#define X(name, text) text,
    LOG_EVENTS(X)
#undef X
};

const char *line_event_name(enum log_event event)
{
    return event_names[event];
}

static const char *const level_names[] = {"error", "info", "debug"};
static const int syslog_levels[] = {3, 6, 7};
static const char *const colours[] = {"\033[1;31m", "", "\033[2m"};

struct text {
    char *at;
    size_t size;
    size_t used;
};

static bool has_room(const struct text *text, size_t len)
{
    return text->used + len + TAIL <= text->size;
}

__attribute__((format(printf, 2, 3))) static void add(struct text *text, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    int len = vsnprintf(text->at + text->used, text->size - text->used, format, arguments);
    va_end(arguments);
    if (len > 0 && has_room(text, (size_t)len))
        text->used += (size_t)len;
    text->at[text->used] = '\0';
}

static void end_value(struct text *text, const char *end)
{
    size_t len = strlen(end);

    memcpy(text->at + text->used, end, len + 1);
    text->used += len;
}

/* What there is room for, in one piece or not at all. */
static void add_parts(struct text *text, const char *first, const char *name, const char *last)
{
    if (!has_room(text, strlen(first) + strlen(name) + strlen(last)))
        return;
    end_value(text, first);
    end_value(text, name);
    end_value(text, last);
}

static void add_number(struct text *text, const char *first, const char *name, const char *between,
                       int64_t number)
{
    char last[NAME_END_MAX + DIGITS_MAX];

    *digits_put(stpcpy(last, between), number) = '\0';
    add_parts(text, first, name, last);
}

static bool is_control(unsigned char c)
{
    return c < ' ' || c == 127;
}

static void add_plain(struct text *text, const char *value)
{
    for (; *value && has_room(text, 1); value++)
        text->at[text->used++] = is_control((unsigned char)*value) ? '?' : *value;
    text->at[text->used] = '\0';
}

/* How many bytes the character has that begins here; 0: it is no UTF-8. */
static size_t utf8_len(const char *at)
{
    const unsigned char *c = (const unsigned char *)at;
    size_t len = c[0] < 0x80 ? 1 : c[0] < 0xc2 ? 0 : c[0] < 0xe0 ? 2 : c[0] < 0xf0 ? 3 : 4;

    if (c[0] > 0xf4)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((c[i] & 0xc0) != 0x80)
            return 0;
    bool is_overlong = (c[0] == 0xe0 && c[1] < 0xa0) || (c[0] == 0xf0 && c[1] < 0x90);
    bool is_surrogate = c[0] == 0xed && c[1] >= 0xa0;
    bool is_too_high = c[0] == 0xf4 && c[1] >= 0x90;
    return is_overlong || is_surrogate || is_too_high ? 0 : len;
}

static void add_quoted(struct text *text, const char *value)
{
    text->at[text->used++] = '"';
    while (*value && has_room(text, 4)) {
        size_t len = utf8_len(value);
        if (*value == '"' || *value == '\\')
            text->at[text->used++] = '\\';
        if (len == 0 || is_control((unsigned char)*value))
            text->at[text->used++] = '?';
        else
            memcpy(text->at + text->used, value, len);
        text->used += len == 0 || is_control((unsigned char)*value) ? 0 : len;
        value += len ? len : 1;
    }
    end_value(text, "\"");
}

/* ASCII, whatever the locale. */
static bool is_bare_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '-' && c <= ':') || c == '_' ||
           c == '@' || c == '+' || c == '[' || c == ']';
}

static bool is_bare(const char *value)
{
    const char *end = value;

    while (is_bare_byte(*end))
        end++;
    return end != value && *end == '\0';
}

static void add_time(struct text *text, int64_t time_ms)
{
    time_t seconds = (time_t)(time_ms / 1000);
    struct tm utc;

    if (!has_room(text, TIME_LEN))
        return;
    gmtime_r(&seconds, &utc);
    char *at = digits_put_last(text->at + text->used, (uint64_t)utc.tm_year + 1900, 4);
    const unsigned parts[] = {(unsigned)utc.tm_mon + 1, (unsigned)utc.tm_mday,
                              (unsigned)utc.tm_hour, (unsigned)utc.tm_min, (unsigned)utc.tm_sec};
    for (unsigned i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        *at++ = "--T::"[i];
        at = digits_put_last(at, parts[i], 2);
    }
    *at++ = '.';
    at = digits_put_last(at, (uint64_t)(time_ms % 1000), 3);
    text->used = (size_t)(at - text->at);
    end_value(text, "Z");
}

static void add_message(struct text *text, const struct log_record *record,
                        const struct line_head *head)
{
    if (head->dropped > 0)
        add(text, "(%" PRIu64 " line%s lost) ", head->dropped, head->dropped == 1 ? "" : "s");
    add_plain(text, record->message);
}

static void add_logfmt_text(struct text *text, const char *name, const char *value)
{
    if (!has_room(text, strlen(name) + 4))
        return;
    add_parts(text, " ", name, "=");
    if (is_bare(value))
        add_plain(text, value);
    else
        add_quoted(text, value);
}

/* What is most wanted comes first: the end may be cut. */
static void add_logfmt(struct text *text, const struct log_record *record,
                       const struct line_head *head)
{
    add_parts(text, "time=", "", "");
    add_time(text, record->time_ms);
    add_parts(text, " level=", level_names[record->level], "");
    add_parts(text, " event=", event_names[record->event], "");
    add_logfmt_text(text, "instance", head->instance);
    for (const struct log_fact *fact = record->facts; fact && fact->name; fact++) {
        if (fact->text)
            add_logfmt_text(text, fact->name, fact->text);
        else
            add_number(text, " ", fact->name, "=", fact->number);
    }
    if (head->dropped > 0)
        add(text, " dropped=%" PRIu64, head->dropped);
    if (record->message)
        add_logfmt_text(text, "msg", record->message);
}

static void add_json_text(struct text *text, const char *name, const char *value)
{
    if (!has_room(text, strlen(name) + 8))
        return;
    add_parts(text, ",\"", name, "\":");
    add_quoted(text, value);
}

static void add_json(struct text *text, const struct log_record *record,
                     const struct line_head *head)
{
    add_number(text, "{\"", "schema_version", "\":", LINE_SCHEMA_VERSION);
    if (head->number > 0)
        add(text, ",\"seq\":%" PRIu64, head->number);
    add_parts(text, ",\"", "time", "\":\"");
    add_time(text, record->time_ms);
    add_parts(text, "\",\"level\":\"", level_names[record->level], "\"");
    add_parts(text, ",\"event\":\"", event_names[record->event], "\"");
    add_json_text(text, "instance", head->instance);
    for (const struct log_fact *fact = record->facts; fact && fact->name; fact++) {
        if (fact->text)
            add_json_text(text, fact->name, fact->text);
        else
            add_number(text, ",\"", fact->name, "\":", fact->number);
    }
    if (head->dropped > 0)
        add(text, ",\"dropped\":%" PRIu64, head->dropped);
    if (record->message)
        add_json_text(text, "msg", record->message);
    end_value(text, "}");
}

size_t line_format(enum line_form form, const struct log_record *record,
                   const struct line_head *head, char *line, size_t size)
{
    struct text text = {line, size, 0};
    const char *colour = form == LINE_COLOUR ? colours[record->level] : "";

    switch (form) {
    case LINE_DATED:
        add_time(&text, record->time_ms);
        add(&text, " sshim: ");
        add_message(&text, record, head);
        break;
    case LINE_HUMAN:
    case LINE_COLOUR:
        add(&text, "%ssshim: ", colour);
        add_message(&text, record, head);
        if (*colour)
            end_value(&text, "\033[0m");
        break;
    case LINE_JOURNAL:
        add(&text, "<%d>", syslog_levels[record->level]);
        add_message(&text, record, head);
        break;
    case LINE_LOGFMT: add_logfmt(&text, record, head); break;
    case LINE_JSON: add_json(&text, record, head); break;
    }
    end_value(&text, "\n");
    return text.used;
}
