/* test_line.c - broker/base/log/line.c: each form of a line, and that no input breaks it. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "broker/base/log/line.h"
#include "unit.h"

#define NOON 1764244800123 /* 2025-11-27T12:00:00.123Z */

static char line[LINE_SIZE];

static const struct line_head nothing_lost = {.instance = "web"};

static const char *format(enum line_form form, const char *message, const struct log_fact *facts,
                          const struct line_head *head)
{
    struct log_record record = {NOON, LOG_LEVEL_QUIET, LOG_WORKER_EXIT, facts, message};
    size_t len = line_format(form, &record, head, line, sizeof line);

    CHECK(len == strlen(line) && len < LINE_SIZE && line[len - 1] == '\n');
    return line;
}

static bool is(enum line_form form, const char *wanted)
{
    const struct log_fact *facts =
        LOG_FACTS(LOG_NUMBER("worker", 2), LOG_TEXT("cause", "out of \"x\""));
    bool same = strcmp(format(form, "it ended", facts, &nothing_lost), wanted) == 0;

    if (!same)
        printf("# %s", line);
    return same;
}

static void writes_each_form(void)
{
    CHECK(is(LINE_HUMAN, "sshim: it ended\n"));
    CHECK(is(LINE_COLOUR, "\033[1;31msshim: it ended\033[0m\n"));
    CHECK(is(LINE_DATED, "2025-11-27T12:00:00.123Z sshim: it ended\n"));
    CHECK(is(LINE_JOURNAL, "<3>it ended\n"));
    CHECK(is(LINE_LOGFMT, "time=2025-11-27T12:00:00.123Z level=error event=worker_exit "
                          "instance=web worker=2 cause=\"out of \\\"x\\\"\" msg=\"it ended\"\n"));
    CHECK(is(LINE_JSON, "{\"schema_version\":1,\"time\":\"2025-11-27T12:00:00.123Z\","
                        "\"level\":\"error\",\"event\":\"worker_exit\",\"instance\":\"web\","
                        "\"worker\":2,\"cause\":\"out of \\\"x\\\"\",\"msg\":\"it ended\"}\n"));
}

static void says_how_many_were_lost(void)
{
    const struct line_head head = {.instance = "web", .dropped = 7};
    const struct line_head one = {.instance = "web", .dropped = 1};

    CHECK(strstr(format(LINE_HUMAN, "m", NULL, &head), "sshim: (7 lines lost) m\n"));
    CHECK(strstr(format(LINE_HUMAN, "m", NULL, &one), "sshim: (1 line lost) m\n"));
    CHECK(strstr(format(LINE_LOGFMT, "m", NULL, &head), " dropped=7 msg=m\n"));
    CHECK(strstr(format(LINE_JSON, "m", NULL, &head), ",\"dropped\":7,\"msg\":\"m\"}\n"));
}

static void replaces_what_could_break_a_line(void)
{
    static const char message[] = "a\nb\033[31m\177 \xc3\xa4 \xe2\x82\xac \xff\xc3( \xed\xa0\x80 "
                                  "\xf0\x9f\x98\x80 \\ \xf4\x90\x80\x80 \xc0\x80 \xe2\x82";

    CHECK(strstr(format(LINE_HUMAN, "a\nb\033[31m\177", NULL, &nothing_lost), "a?b?[31m?\n"));
    CHECK(strstr(
        format(LINE_JSON, message, NULL, &nothing_lost),
        "\"a?b?[31m? \xc3\xa4 \xe2\x82\xac ?\?( ?\?\? \xf0\x9f\x98\x80 \\\\ ?\?\?\? ?\? ?\?\"}\n"));
}

static bool says_number(int64_t number)
{
    char wanted[64];

    snprintf(wanted, sizeof wanted, " n=%" PRId64 " msg", number);
    bool same = strstr(format(LINE_LOGFMT, "m", LOG_FACTS(LOG_NUMBER("n", number)), &nothing_lost),
                       wanted) != NULL;
    snprintf(wanted, sizeof wanted, ",\"n\":%" PRId64 ",", number);
    return same && strstr(format(LINE_JSON, "m", LOG_FACTS(LOG_NUMBER("n", number)), &nothing_lost),
                          wanted);
}

static void numbers_are_those_of_printf(void)
{
    const int64_t limits[] = {0, -1, INT64_MIN, INT64_MIN + 1, INT64_MAX};

    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++)
        CHECK(says_number(limits[i]));
    for (int64_t power = 10; power <= INT64_MAX / 100; power *= 10)
        CHECK(says_number(power - 1) && says_number(power) && says_number(-power));
}

static void times_are_those_of_strftime(void)
{
    for (int64_t second = 0; second < INT64_C(253402300800); second += 86400 * 11 + 3607) {
        struct log_record record = {second * 1000 + second % 1000, LOG_LEVEL_QUIET, LOG_WORKER_EXIT,
                                    NULL, ""};
        time_t seconds = (time_t)second;
        char wanted[64];
        size_t len = strftime(wanted, sizeof wanted, "%FT%T.", gmtime(&seconds));
        snprintf(wanted + len, sizeof wanted - len, "%03dZ sshim: \n", (int)(second % 1000));
        line_format(LINE_DATED, &record, &nothing_lost, line, sizeof line);
        CHECK(strcmp(line, wanted) == 0);
    }
}

static void quotes_what_is_not_bare(void)
{
    static const char bare[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                               "0123456789._:/@+-[]";

    for (int c = 1; c < 256; c++) {
        char value[] = {'a', (char)c, '\0'};
        format(LINE_LOGFMT, "m", LOG_FACTS(LOG_TEXT("v", value)), &nothing_lost);
        CHECK((strstr(line, " v=\"a") == NULL) == (strchr(bare, c) != NULL));
    }
    CHECK(
        strstr(format(LINE_LOGFMT, "m", LOG_FACTS(LOG_TEXT("v", "")), &nothing_lost), " v=\"\" "));
}

/* Whatever has no room is left out, and the line still ends as its form does. */
static void cuts_what_is_too_long(void)
{
    static char long_text[3 * LINE_SIZE];

    for (enum line_form form = LINE_HUMAN; form <= LINE_JSON; form++) {
        for (size_t len = LINE_SIZE - 200; len < LINE_SIZE + 10; len++) {
            memset(long_text, '"', len);
            long_text[len] = '\0';
            format(form, long_text, LOG_FACTS(LOG_TEXT("a", long_text + 100)), &nothing_lost);
            format(form, long_text + len / 2, LOG_FACTS(LOG_TEXT("a", long_text + len / 2)),
                   &nothing_lost);
        }
    }
    format(LINE_JSON, long_text, NULL, &nothing_lost);
    CHECK(strcmp(line + strlen(line) - 4, "\\\"\"}\n") != 0 && strstr(line, "\"}\n"));
}

int main(void)
{
    unit_run("each form of a line", writes_each_form);
    unit_run("the next line says how many were lost", says_how_many_were_lost);
    unit_run("control characters and bytes that are no UTF-8 become ?",
             replaces_what_could_break_a_line);
    unit_run("numbers are those of printf", numbers_are_those_of_printf);
    unit_run("times are those of strftime", times_are_those_of_strftime);
    unit_run("what is not bare is quoted", quotes_what_is_not_bare);
    unit_run("a long line is cut and stays whole", cuts_what_is_too_long);
    return unit_end();
}
