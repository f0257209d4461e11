/* reread.c - see reread.h. */
#include "broker/cli/settings/reread.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/cli/settings/gather.h"

#define FILE_VARIABLE "SSHIM_RESUME_FILE" /* "COUNT from-file|given PATH" */
#define NO_VARIABLE                                                                                \
    "SSHIM_RESUME_NO" /* options that the environment says no to: "verbose quiet"                  \
                       */

/* No argument says that. */
static void export_refusals(void)
{
    char text[1024] = "";
    size_t used = 0;

    for (size_t i = 0; i < settings.count && used < sizeof text; i++)
        if (settings.at[i].source == FROM_ENVIRONMENT && gather_is_no(&settings.at[i]))
            used +=
                (size_t)snprintf(text + used, sizeof text - used, "%s ", settings.at[i].row->name);
    setenv(NO_VARIABLE, text, 1);
}

static void recall_refusals(void)
{
    const char *names = secure_getenv(NO_VARIABLE);
    char name[64];
    int len;

    for (; names && sscanf(names, "%63s %n", name, &len) == 1; names += len)
        if (gather_find_row(name))
            gather_add(gather_find_row(name), "no", FROM_ENVIRONMENT, 0);
    unsetenv(NO_VARIABLE);
}

void reread_export(void)
{
    char text[PATH_MAX + 32];

    if (!*settings.file)
        return;
    snprintf(text, sizeof text, "%u %s %s", settings.resolved_from_file,
             settings.command == settings.file_command ? "from-file" : "given", settings.file);
    setenv(FILE_VARIABLE, text, 1);
    export_refusals();
}

void reread_unexport(void)
{
    unsetenv(FILE_VARIABLE);
    unsetenv(NO_VARIABLE);
}

static bool recall_argument(void *into, const struct option_row *row, const char *value)
{
    enum source source = settings.count < settings.resolved_from_file ? FROM_FILE : FROM_ARGUMENTS;

    return row->read(row, into, value) && gather_add(row, value, source, 0);
}

/* What reread_export() has told; an older version tells nothing, and then there is no file. */
void reread_recall(int argc, char **program_argv)
{
    const char *text = secure_getenv(FILE_VARIABLE);
    struct option_table gathering = *gather_table();
    struct option_fault fault;
    char from[16];
    int used = 0;

    gathering.take = recall_argument;
    if (!text || sscanf(text, "%u %15s %n", &settings.resolved_from_file, from, &used) < 2 ||
        used == 0)
        return;
    snprintf(settings.file, sizeof settings.file, "%s", text + used);
    recall_refusals();
    reread_unexport();
    options_read(&gathering, &settings.checked, argc, program_argv + 1, &fault);
    settings.command = optind < argc ? program_argv + 1 + optind : NULL;
    if (strcmp(from, "from-file") == 0)
        settings.file_command = settings.command;
    settings.resolved = program_argv;
}

static const char *nth_value(const struct settings *in, const struct option_row *row, size_t n)
{
    enum source best = FROM_FILE_NAME;

    for (size_t i = 0; i < in->count; i++)
        if (in->at[i].row == row && in->at[i].source > best)
            best = in->at[i].source;
    for (size_t i = 0; i < in->count; i++)
        if (in->at[i].row == row && in->at[i].source == best && n-- == 0)
            return in->at[i].value ? in->at[i].value : "yes";
    return NULL;
}

static bool is_same(const struct settings *before, const struct option_row *row)
{
    const char *value;
    size_t n = 0;

    while ((value = nth_value(before, row, n)) != NULL) {
        const char *now = nth_value(&settings, row, n++);
        if (!now || strcmp(value, now) != 0)
            return false;
    }
    return !nth_value(&settings, row, n);
}

/* Takes over from before what the file does not decide. */
static bool keep_others(const struct settings *before)
{
    for (size_t i = 0; i < before->count; i++)
        if (before->at[i].source > FROM_FILE &&
            !gather_add(before->at[i].row, before->at[i].value, before->at[i].source, 0))
            return false;
    return true;
}

/* This option stays as it was, whatever the file says now. */
static void keep_row(const struct settings *before, const struct option_row *row)
{
    size_t kept = 0;

    for (size_t i = 0; i < settings.count; i++)
        if (settings.at[i].row != row)
            settings.at[kept++] = settings.at[i];
    settings.count = kept;
    for (size_t i = 0; i < before->count; i++)
        if (before->at[i].row == row)
            gather_add(row, before->at[i].value, before->at[i].source, before->at[i].line);
}

static const char *value_in_words(const struct settings *in, const struct option_row *row)
{
    const char *value = nth_value(in, row, 0);

    if (!value && row->argument)
        value = row->initial ? row->initial : row->names ? row->names[0] : "not given";
    return value ? value : "no";
}

static bool is_same_command(const struct settings *before)
{
    size_t i = 0;

    if (!before->command || !settings.command)
        return before->command == settings.command;
    while (before->command[i] && settings.command[i] &&
           strcmp(before->command[i], settings.command[i]) == 0)
        i++;
    return !before->command[i] && !settings.command[i];
}

/* Behind what is there, as far as there is room. */
__attribute__((format(printf, 2, 3))) static void add(struct option_fault *news, const char *format,
                                                      ...)
{
    size_t used = strlen(news->text);
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(news->text + used, sizeof news->text - used, format, arguments);
    va_end(arguments);
}

/* One line: what has to stay. */
static void keep_fixed(const struct settings *before, struct option_fault *news)
{
    const char *lead = "cannot change while the broker runs: ";

    for (size_t i = 0; i < gather_table()->count; i++) {
        const struct option_row *row = &gather_table()->rows[i];
        if (row->is_live || is_same(before, row))
            continue;
        add(news, "%s%s stays %.100s", lead, row->name, value_in_words(before, row));
        lead = ", ";
        keep_row(before, row);
    }
    if (*news->text)
        add(news, "; stop this instance and start it again\n");
}

/* One line: what is new. */
static void compare(const struct settings *before, struct option_fault *news)
{
    const char *lead = "changed: ";
    bool is_any = !is_same_command(before);

    add(news, "read %.200s again: ", settings.file);
    for (size_t i = 0; i < gather_table()->count; i++) {
        const struct option_row *row = &gather_table()->rows[i];
        if (is_same(before, row))
            continue;
        add(news, "%s%s", lead, row->name);
        lead = ", ";
        is_any = true;
    }
    if (!is_same_command(before))
        add(news, "%scommand", lead);
    add(news, is_any ? "\n" : "nothing has changed\n");
}

static bool read_again(const struct settings *before, struct option_fault *told)
{
    bool has_given_command = before->command != before->file_command;

    memcpy(settings.file, before->file, sizeof settings.file);
    if (!keep_others(before) || !gather_file(told) || !gather_name_after_file())
        return false;
    settings.command = has_given_command ? before->command : settings.file_command;
    told->text[0] = '\0';
    keep_fixed(before, told);
    compare(before, told);
    settings.resolved = gather_resolve(before->resolved);
    return settings.resolved != NULL;
}

bool reread_has_file(void)
{
    return *settings.file != '\0';
}

/* What was read before is kept: other parts have pointers to it. Some KiB a time. */
bool reread_file(bool (*try)(int argc, char **resolved), struct option_fault *told)
{
    static struct older {
        struct settings settings;
        struct older *next;
    } * all_older;
    struct older *older = malloc(sizeof *older);

    option_fail(told, "out of memory; nothing has changed");
    if (!older)
        return false;
    *older = (struct older){settings, all_older};
    settings = (struct settings){0};
    if (read_again(&older->settings, told) &&
        try((int)gather_count_words(settings.resolved) - 1, settings.resolved)) {
        all_older = older;
        return true;
    }
    if (settings.resolved != older->settings.resolved)
        gather_free_resolved(settings.resolved);
    free(settings.at);
    free(settings.text);
    free(settings.file_command);
    settings = older->settings;
    free(older);
    return false;
}
