/* gather.c - see gather.h. */
#include "broker/cli/settings/gather.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/base/log.h"
#include "broker/cli/options/rows.h"
#include "broker/cli/runtime_paths.h"
#include "broker/cli/settings/config_file.h"

struct settings settings;

const struct option_table *gather_table(void)
{
    return &rows_of_run;
}

bool gather_add(const struct option_row *row, const char *value, enum source source, unsigned line)
{
    struct setting *at = reallocarray(settings.at, settings.count + 1, sizeof *at);

    if (!at)
        return false;
    at[settings.count++] = (struct setting){row, value, source, line};
    settings.at = at;
    return true;
}

/* A value in the environment or in a file; of an option without one it is yes or no. */
static bool take_value(const struct option_row *row, const char *value, enum source source,
                       unsigned line)
{
    bool is_flag = !row->argument;
    bool valid = is_flag ? strcmp(value, "yes") == 0 || strcmp(value, "no") == 0
                         : row->read(row, &settings.checked, value);

    return valid && gather_add(row, value, source, line);
}

bool gather_is_no(const struct setting *setting)
{
    return !setting->row->argument && setting->value && strcmp(setting->value, "no") == 0;
}

bool gather_wins(const struct setting *setting)
{
    for (size_t i = 0; i < settings.count; i++)
        if (settings.at[i].row == setting->row && settings.at[i].source > setting->source)
            return false;
    return true;
}

/* The last one that wins, or NULL. */
const struct setting *gather_find(const struct option_row *row)
{
    for (size_t i = settings.count; i > 0; i--)
        if (settings.at[i - 1].row == row && gather_wins(&settings.at[i - 1]))
            return &settings.at[i - 1];
    return NULL;
}

static const struct setting *find_in_file(const struct option_row *row)
{
    for (size_t i = 0; i < settings.count; i++)
        if (settings.at[i].row == row && settings.at[i].source == FROM_FILE)
            return &settings.at[i];
    return NULL;
}

const struct option_row *gather_find_row(const char *name)
{
    for (size_t i = 0; i < gather_table()->count; i++)
        if (strcmp(gather_table()->rows[i].name, name) == 0)
            return &gather_table()->rows[i];
    return NULL;
}

/* --stop-timeout is SSHIM_STOP_TIMEOUT. */
void gather_name_variable(const struct option_row *row, char *name)
{
    char *end = stpcpy(name, "SSHIM_");

    for (const char *c = row->name; *c; c++)
        *end++ = *c == '-' ? '_' : (char)toupper((unsigned char)*c);
    *end = '\0';
}

bool gather_environment(void)
{
    char name[VARIABLE_SIZE];
    struct option_fault fault;

    settings.checked = (struct config){0};
    for (size_t i = 0; i < gather_table()->count; i++) {
        const struct option_row *row = &gather_table()->rows[i];
        gather_name_variable(row, name);
        const char *value = secure_getenv(name);
        if (value && *value && !take_value(row, value, FROM_ENVIRONMENT, 0)) {
            option_refuse(row, name, value, &fault);
            log_error("%s", fault.text);
            return false;
        }
        unsetenv(name); /* the value stays where it is */
    }
    return true;
}

static bool refuse_line(struct option_fault *fault, unsigned line, const char *reason)
{
    struct option_fault whole;

    option_fail(&whole, "%s:%u: %s", settings.file, line, reason);
    *fault = whole;
    return false;
}

static bool take_command(char *value, unsigned line, struct option_fault *fault)
{
    const char *reason = settings.file_command ? "'command' was given above; leave one of them out"
                                               : config_file_split(value, &settings.file_command);

    settings.command_line = line;
    return reason ? refuse_line(fault, line, reason) : true;
}

/* NULL, or what is wrong with a line that is no command. */
static const char *take_line(const struct config_line *line, unsigned number,
                             struct option_fault *fault)
{
    const struct option_row *row = gather_find_row(line->name);
    const struct setting *before = row ? find_in_file(row) : NULL;

    if (*line->name == '\0')
        snprintf(fault->text, sizeof fault->text, "'%.80s' is no line 'name = value'", line->value);
    else if (!row || row->is_not_in_files)
        snprintf(fault->text, sizeof fault->text,
                 "unknown name '%.80s'; sshim --help tells the options of run", line->name);
    else if (*line->value == '\0')
        snprintf(fault->text, sizeof fault->text, "'%s' has no value; give one, or '#' in front",
                 row->name);
    else if (before && !row->repeats)
        snprintf(fault->text, sizeof fault->text,
                 "'%s' was given in line %u; leave one of them out", row->name, before->line);
    else if (!take_value(row, line->value, FROM_FILE, number))
        option_refuse(row, row->name, line->value, fault);
    else
        return NULL;
    return fault->text;
}

bool gather_file(struct option_fault *fault)
{
    struct config_lines lines = {.rest = config_file_read(settings.file, fault)};
    struct config_line line;

    settings.text = lines.rest;
    if (!settings.text)
        return false;
    settings.checked = (struct config){0};
    while (config_file_next(&lines, &line)) {
        if (strcmp(line.name, "command") == 0) {
            if (!take_command(line.value, lines.number, fault))
                return false;
        } else if (take_line(&line, lines.number, fault)) {
            return refuse_line(fault, lines.number, fault->text);
        }
    }
    return true;
}

/* The instance is called as the file is. */
bool gather_name_after_file(void)
{
    const struct option_row *row = gather_find_row("name");
    char path[PATH_MAX];

    snprintf(path, sizeof path, "%s", settings.file);
    char *ending = strrchr(path, '.');
    if (ending && strcmp(ending, ".conf") == 0)
        *ending = '\0';
    runtime_paths_name_of(path, settings.name, sizeof settings.name);
    return gather_find(row) || gather_add(row, settings.name, FROM_FILE_NAME, 0);
}

static bool belongs_into_arguments(const struct setting *setting, enum source source)
{
    return setting->source == source && gather_wins(setting) && !gather_is_no(setting) &&
           setting->row != gather_find_row("config");
}

/* "--name=value" on the heap. NULL: out of memory. */
static char *format_argument(const struct setting *setting)
{
    const struct option_row *row = setting->row;
    char *text;
    int len = row->argument ? asprintf(&text, "--%s=%s", row->name, setting->value)
                            : asprintf(&text, "--%s", row->name);
    return len < 0 ? NULL : text;
}

size_t gather_count_words(char *const *words)
{
    size_t count = 0;

    while (words[count])
        count++;
    return count;
}

/* What wins last stands last, as --quiet and --verbose are about one thing. */
static char dashes[] = "--";

char **gather_resolve(char **program_argv)
{
    size_t words = settings.command ? gather_count_words(settings.command) : 0;
    size_t used = 2;

    char **all = calloc(settings.count + words + 4, sizeof *all);
    if (!all)
        return NULL;
    memcpy(all, program_argv, 2 * sizeof *all);
    for (int source = FROM_FILE_NAME; source <= FROM_ARGUMENTS; source++) {
        if (source == FROM_ENVIRONMENT)
            settings.resolved_from_file = (unsigned)used - 2;
        for (size_t i = 0; i < settings.count; i++) {
            if (!belongs_into_arguments(&settings.at[i], (enum source)source))
                continue;
            all[used] = format_argument(&settings.at[i]);
            if (!all[used++]) {
                gather_free_resolved(all);
                return NULL;
            }
        }
    }
    all[used++] = dashes;
    if (words > 0)
        memcpy(all + used, settings.command, words * sizeof *all);
    return all;
}

void gather_free_resolved(char **all)
{
    for (size_t i = 2; all && all[i] && all[i] != dashes; i++)
        free(all[i]);
    free(all);
}
