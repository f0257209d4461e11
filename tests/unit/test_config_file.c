/* test_config_file.c - broker/cli/settings/config_file.c: the lines of a file of options, and its
 * command.
 */
#include <stdlib.h>
#include <string.h>

#include "broker/cli/settings/config_file.h"
#include "unit.h"

/* Each line as "number:name=value;". */
static void read_lines(const char *text, char *found, size_t size)
{
    char *copy = strdup(text);
    struct config_lines lines = {.rest = copy};
    struct config_line line;
    size_t used = 0;

    *found = '\0';
    while (config_file_next(&lines, &line) && used < size)
        used += (size_t)snprintf(found + used, size - used, "%u:%s=%s;", lines.number, line.name,
                                 line.value);
    free(copy);
}

#define LINES(text, expected)                                                                      \
    do {                                                                                           \
        char found[256];                                                                           \
        read_lines(text, found, sizeof found);                                                     \
        CHECK(strcmp(found, expected) == 0);                                                       \
    } while (0)

static void test_lines(void)
{
    LINES("", "");
    LINES("a = b", "1:a=b;");
    LINES("a=b\nc=d\n", "1:a=b;2:c=d;");
    LINES("\n\n  a\t=  b c  \r\n", "3:a=b c;");
    LINES("a = b = c", "1:a=b = c;");
    LINES("a =", "1:a=;");
    LINES("= b", "1:=b;");
    LINES("nothing", "1:=nothing;");
}

static void test_comments(void)
{
    LINES("# a = b\n  #c\nd = e # f\n", "3:d=e;");
    LINES("d = e#f\ng = @#h #", "1:d=e#f;2:g=@#h;");
    LINES("a = # b", "1:a=;");
    LINES("command = x '# y' # z", "1:command=x '# y' # z;");
}

/* Its words, each between < and >, or what is wrong with it. */
static void split(const char *text, char *found, size_t size)
{
    char *copy = strdup(text);
    char **words;
    const char *fault = config_file_split(copy, &words);
    size_t used = (size_t)snprintf(found, size, "%s", fault ? fault : "");

    CHECK((fault == NULL) == (words != NULL));
    for (char **word = words; word && *word && used < size; word++)
        used += (size_t)snprintf(found + used, size - used, "<%s>", *word);
    free(words);
    free(copy);
}

#define SPLITS(text, expected)                                                                     \
    do {                                                                                           \
        char found[256];                                                                           \
        split(text, found, sizeof found);                                                          \
        CHECK(strcmp(found, expected) == 0);                                                       \
    } while (0)

static void test_words(void)
{
    SPLITS("a", "<a>");
    SPLITS("  a  bc\td ", "<a><bc><d>");
    SPLITS("'a b' \"c d\" e\\ f", "<a b><c d><e f>");
    SPLITS("a'b'\"c\"d", "<abcd>");
    SPLITS("'' \"\" x", "<><><x>");
    SPLITS("'\\' \"\\\"\\\\\\n\" \\'", "<\\><\"\\\\n><'>");
    SPLITS("$HOME *.c `x` ~ a>b", "<$HOME><*.c><`x`><~><a>b>");
    SPLITS("a # b", "<a>");
    SPLITS("a#b '#' \\# c", "<a#b><#><#><c>");
}

static void test_bad_words(void)
{
    SPLITS("", "there is no command");
    SPLITS(" # x", "there is no command");
    SPLITS("a 'b", "a quote is not closed, or a backslash ends the line");
    SPLITS("a \"b\\", "a quote is not closed, or a backslash ends the line");
    SPLITS("a b\\", "a quote is not closed, or a backslash ends the line");
}

int main(void)
{
    unit_run("file of options: names, values and numbers of lines", test_lines);
    unit_run("file of options: comments", test_comments);
    unit_run("file of options: the words of the command", test_words);
    unit_run("file of options: commands that end too early", test_bad_words);
    return unit_end();
}
