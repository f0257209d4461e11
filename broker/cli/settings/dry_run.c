/* dry_run.c - see dry_run.h. */
#include "broker/cli/settings/dry_run.h"

#include <stdio.h>
#include <string.h>

#include "broker/cli/settings/gather.h"

static void print_source(enum source source, const struct option_row *row, unsigned line)
{
    char name[VARIABLE_SIZE];

    switch (source) {
    case FROM_FILE_NAME: printf("  # as %s is called\n", settings.file); break;
    case FROM_FILE: printf("  # %s:%u\n", settings.file, line); break;
    case FROM_ENVIRONMENT:
        gather_name_variable(row, name);
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
    const struct setting *last = gather_find(row);

    if (!last)
        print_default(row);
    for (size_t i = 0; last && i < settings.count; i++) {
        const struct setting *setting = &settings.at[i];
        if (row->repeats ? setting->row != row || !gather_wins(setting) : setting != last)
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

void dry_run_print(void)
{
    for (size_t i = 0; i < gather_table()->count; i++)
        if (!gather_table()->rows[i].is_not_in_files)
            print_row(&gather_table()->rows[i]);
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
