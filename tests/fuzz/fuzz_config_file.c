/* fuzz_config_file.c - a file of options: its lines, and each value as a command line. */
#include <string.h>

#include "broker/cli/settings/config_file.h"
#include "fuzz.h"

/* What is cut out of a text lies in it, and ends there. */
static void must_lie_in(const char *part, const char *text, size_t len)
{
    MUST(part >= text && part + strlen(part) <= text + len);
}

static void try_split(char *value)
{
    size_t len = strlen(value);
    char **words;
    const char *fault = config_file_split(value, &words);

    MUST((fault == NULL) == (words != NULL));
    MUST(fault || words[0]);
    for (char **word = words; word && *word; word++)
        must_lie_in(*word, value, len);
    free(words);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    char *text = malloc(len + 1);
    struct config_lines lines = {.rest = text};
    struct config_line line;
    unsigned last = 0;

    memcpy(text, bytes, len);
    text[len] = '\0';
    size_t total = strlen(text);
    while (config_file_next(&lines, &line)) {
        MUST(lines.number > last);
        last = lines.number;
        MUST(!strchr(line.name, '=') && !strchr(line.value, '\n'));
        if (*line.name)
            must_lie_in(line.name, text, total);
        must_lie_in(line.value, text, total);
        try_split(line.value);
    }
    free(text);
    return 0;
}
