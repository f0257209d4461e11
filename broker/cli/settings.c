/* settings.c - see settings.h. */
#include "broker/cli/settings.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/cli/config_file.h"
#include "broker/cli/runtime_paths.h"

#define VARIABLE_SIZE 64

/* A later one wins. */
enum source { FROM_FILE_NAME, FROM_FILE, FROM_ENVIRONMENT, FROM_ARGUMENTS };

struct setting {
    const struct option_row *row;
    const char *value; /* NULL: the option takes none, and is given */
    enum source source;
    unsigned line; /* of the file */
};

static struct {
    struct setting *at;
    size_t count;
    struct config checked; /* a source's values were read into it, to see whether they are valid */
    char file[PATH_MAX];   /* "": none */
    char *text;            /* of the file; values are in it */
    char name[64];         /* that the file's name gives */
    char **command;        /* NULL: none */
    char **file_command;   /* the same, as the file says */
    unsigned command_line; /* of the file */
    char **resolved;
} settings;

static const struct option_table *table(void)
{
    return config_run_options();
}

static bool add(const struct option_row *row, const char *value, enum source source, unsigned line)
{
    struct setting *at = reallocarray(settings.at, settings.count + 1, sizeof *at);

    if (!at)
        return false;
    at[settings.count++] = (struct setting){row, value, source, line};
    settings.at = at;
    return true;
}

static bool take_argument(void *into, const struct option_row *row, const char *value)
{
    return row->read(row, into, value) && add(row, value, FROM_ARGUMENTS, 0);
}

/* A value in the environment or in a file; of an option without one it is yes or no. */
static bool take_value(const struct option_row *row, const char *value, enum source source,
                       unsigned line)
{
    bool is_flag = !row->argument;
    bool valid = is_flag ? strcmp(value, "yes") == 0 || strcmp(value, "no") == 0
                         : row->read(row, &settings.checked, value);

    return valid && add(row, value, source, line);
}

static bool is_no(const struct setting *setting)
{
    return !setting->row->argument && setting->value && strcmp(setting->value, "no") == 0;
}

static bool wins(const struct setting *setting)
{
    for (size_t i = 0; i < settings.count; i++)
        if (settings.at[i].row == setting->row && settings.at[i].source > setting->source)
            return false;
    return true;
}

/* The last one that wins, or NULL. */
static const struct setting *find(const struct option_row *row)
{
    for (size_t i = settings.count; i > 0; i--)
        if (settings.at[i - 1].row == row && wins(&settings.at[i - 1]))
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

static const struct option_row *find_row(const char *name)
{
    for (size_t i = 0; i < table()->count; i++)
        if (strcmp(table()->rows[i].name, name) == 0)
            return &table()->rows[i];
    return NULL;
}

/* --stop-timeout is SSHIM_STOP_TIMEOUT. */
static void name_variable(const struct option_row *row, char *name)
{
    char *end = stpcpy(name, "SSHIM_");

    for (const char *c = row->name; *c; c++)
        *end++ = *c == '-' ? '_' : (char)toupper((unsigned char)*c);
    *end = '\0';
}

static bool read_environment(void)
{
    char name[VARIABLE_SIZE];
    struct option_fault fault;

    settings.checked = (struct config){0};
    for (size_t i = 0; i < table()->count; i++) {
        const struct option_row *row = &table()->rows[i];
        name_variable(row, name);
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

static bool refuse_line(unsigned line, const char *reason)
{
    log_error("%s:%u: %s", settings.file, line, reason);
    return false;
}

static bool take_command(char *value, unsigned line)
{
    const char *fault = settings.file_command ? "'command' was given above; leave one of them out"
                                              : config_file_split(value, &settings.file_command);

    settings.command_line = line;
    return fault ? refuse_line(line, fault) : true;
}

/* NULL, or what is wrong with a line that is no command. */
static const char *take_line(const struct config_line *line, unsigned number,
                             struct option_fault *fault)
{
    const struct option_row *row = find_row(line->name);
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

static bool read_file(void)
{
    struct config_lines lines = {.rest = config_file_read(settings.file)};
    struct config_line line;
    struct option_fault fault;

    settings.text = lines.rest;
    if (!settings.text)
        return false;
    settings.checked = (struct config){0};
    while (config_file_next(&lines, &line)) {
        if (strcmp(line.name, "command") == 0) {
            if (!take_command(line.value, lines.number))
                return false;
        } else if (take_line(&line, lines.number, &fault)) {
            return refuse_line(lines.number, fault.text);
        }
    }
    return true;
}

/* `sshim run web` */
static bool is_file_word(int argc, char **argv)
{
    return optind + 1 == argc && strcmp(argv[optind - 1], "--") != 0 && *argv[optind] &&
           !strchr(argv[optind], '/');
}

/* Which file, if any. False after one line in the log. */
static bool choose_file(int *argc, char **argv)
{
    const struct setting *given = find(find_row("config"));

    if (given && snprintf(settings.file, sizeof settings.file, "%s", given->value) >= PATH_MAX) {
        log_error("cannot read the file of --config: its path is too long; give a shorter one");
        return false;
    }
    if (!given && is_file_word(*argc, argv) &&
        config_file_find(argv[optind], settings.file, sizeof settings.file))
        *argc = optind; /* the word is no command */
    return true;
}

/* The instance is called as the file is. */
static bool name_after_file(void)
{
    const struct option_row *row = find_row("name");
    char path[PATH_MAX];

    snprintf(path, sizeof path, "%s", settings.file);
    char *ending = strrchr(path, '.');
    if (ending && strcmp(ending, ".conf") == 0)
        *ending = '\0';
    runtime_paths_name_of(path, settings.name, sizeof settings.name);
    return find(row) || add(row, settings.name, FROM_FILE_NAME, 0);
}

static bool gather(int argc, char **argv)
{
    if (!read_environment() || !choose_file(&argc, argv) ||
        (*settings.file && (!read_file() || !name_after_file())))
        return false;
    settings.command = optind < argc ? argv + optind : settings.file_command;
    return true;
}

static bool come_from_arguments_alone(void)
{
    for (size_t i = 0; i < settings.count; i++)
        if (settings.at[i].source != FROM_ARGUMENTS)
            return false;
    return !*settings.file;
}

static bool belongs_into_arguments(const struct setting *setting, enum source source)
{
    return setting->source == source && wins(setting) && !is_no(setting) &&
           setting->row != find_row("config");
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

static size_t count_words(char *const *words)
{
    size_t count = 0;

    while (words[count])
        count++;
    return count;
}

/* What wins last stands last, as --quiet and --verbose are about one thing. */
static char **resolve(char **program_argv)
{
    static char dashes[] = "--";
    size_t words = settings.command ? count_words(settings.command) : 0;
    size_t used = 2;

    char **all = calloc(settings.count + words + 4, sizeof *all);
    if (!all)
        return NULL;
    memcpy(all, program_argv, 2 * sizeof *all);
    for (int source = FROM_FILE_NAME; source <= FROM_ARGUMENTS; source++) {
        for (size_t i = 0; i < settings.count; i++) {
            if (!belongs_into_arguments(&settings.at[i], (enum source)source))
                continue;
            all[used] = format_argument(&settings.at[i]);
            if (!all[used++])
                return NULL;
        }
    }
    all[used++] = dashes;
    if (words > 0)
        memcpy(all + used, settings.command, words * sizeof *all);
    return all;
}

enum proceed settings_read(struct config *config, int argc, char **program_argv, char ***resolved,
                           int *exit_code)
{
    struct option_table gathering = *table();

    *resolved = program_argv;
    if (secure_getenv("SSHIM_RESUME")) /* all was resolved already */
        return config_parse(config, argc, program_argv + 1, exit_code);
    gathering.take = take_argument;
    if (options_parse(&gathering, &settings.checked, argc, program_argv + 1, exit_code) == DONE)
        return DONE;
    *exit_code = EXIT_USAGE;
    if (!gather(argc, program_argv + 1))
        return DONE;
    if (!come_from_arguments_alone())
        *resolved = settings.resolved = resolve(program_argv);
    if (*resolved)
        return config_parse(config, (int)count_words(*resolved) - 1, *resolved + 1, exit_code);
    log_error("cannot start: out of memory; check the memory limits of this process");
    return DONE;
}

static void print_source(enum source source, const struct option_row *row, unsigned line)
{
    char name[VARIABLE_SIZE];

    switch (source) {
    case FROM_FILE_NAME: printf("  # as %s is called\n", settings.file); break;
    case FROM_FILE: printf("  # %s:%u\n", settings.file, line); break;
    case FROM_ENVIRONMENT:
        name_variable(row, name);
        printf("  # %s\n", name);
        break;
    case FROM_ARGUMENTS: puts("  # command line"); break;
    }
}

static void print_default(const struct option_row *row)
{
    const char *value = row->initial ? row->initial : row->names ? row->names[0] : NULL;

    if (!row->argument)
        value = "no";
    if (value)
        printf("%s = %s  # default\n", row->name, value);
    else
        printf("# %s is not given\n", row->name);
}

static void print_row(const struct option_row *row)
{
    const struct setting *last = find(row);

    if (!last)
        print_default(row);
    for (size_t i = 0; last && i < settings.count; i++) {
        const struct setting *setting = &settings.at[i];
        if (row->repeats ? setting->row != row || !wins(setting) : setting != last)
            continue;
        printf("%s = %s", row->name, setting->value ? setting->value : "yes");
        print_source(setting->source, row, setting->line);
    }
}

/* As config_file_split() reads it. */
static void print_word(const char *word)
{
    if (*word && !strpbrk(word, " \t\r'\"\\#")) {
        printf(" %s", word);
        return;
    }
    printf(" '");
    for (; *word; word++) {
        if (*word == '\'')
            fputs("'\\''", stdout);
        else
            putchar(*word);
    }
    putchar('\'');
}

void settings_print(void)
{
    for (size_t i = 0; i < table()->count; i++)
        if (!table()->rows[i].is_not_in_files)
            print_row(&table()->rows[i]);
    if (!settings.command) {
        puts("# command is not given");
        return;
    }
    printf("command =");
    for (char **word = settings.command; *word; word++)
        print_word(*word);
    print_source(settings.command == settings.file_command ? FROM_FILE : FROM_ARGUMENTS, NULL,
                 settings.command_line);
}
