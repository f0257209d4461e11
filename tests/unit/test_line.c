/* test_line.c - broker/base/log/line.c: each form of a line, and that no input breaks it. */
#include <string.h>

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
    unit_run("a long line is cut and stays whole", cuts_what_is_too_long);
    return unit_end();
}
