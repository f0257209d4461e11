/* options.c - see options.h. */
#include "broker/base/options.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "broker/base/log.h"
#include "broker/base/options/parse.h"

#define FIRST_CODE 256 /* getopt's code of row 0; letters are below */
#define CODE_HELP 'h'
#define CODE_OPERAND 1
#define TEXT_COLUMN 28
#define LINE_WIDTH 100

static void *field(const struct option_row *row, void *into)
{
    return (char *)into + row->offset;
}

bool option_flag(const struct option_row *row, void *into, const char *value)
{
    (void)value;
    *(bool *)field(row, into) = true;
    return true;
}

bool option_text(const struct option_row *row, void *into, const char *value)
{
    *(const char **)field(row, into) = value;
    return true;
}

bool option_number(const struct option_row *row, void *into, const char *value)
{
    return option_parse_number(value, row->min, row->max, field(row, into));
}

bool option_choice(const struct option_row *row, void *into, const char *value)
{
    for (int i = 0; row->names[i]; i++) {
        if (strcmp(value, row->names[i]) == 0) {
            *(int *)field(row, into) = i;
            return true;
        }
    }
    return false;
}

/* What the row accepts, in words. */
static void describe_expected(const struct option_row *row, char *text, size_t size)
{
    size_t used = 0;

    if (!row->argument) {
        snprintf(text, size, "yes or no");
    } else if (row->expected) {
        snprintf(text, size, "%s", row->expected);
    } else if (row->names) {
        for (int i = 0; row->names[i] && used < size; i++)
            used +=
                (size_t)snprintf(text + used, size - used, "%s%s", i ? ", " : "", row->names[i]);
    } else {
        snprintf(text, size, "a whole number from %u to %u", row->min, row->max);
    }
}

void option_fail(struct option_fault *fault, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(fault->text, sizeof fault->text, format, arguments);
    va_end(arguments);
}

void option_refuse(const struct option_row *row, const char *name, const char *value,
                   struct option_fault *fault)
{
    char expected[128];

    describe_expected(row, expected, sizeof expected);
    snprintf(fault->text, sizeof fault->text,
             "invalid value '%s' for %s: expected %s; see sshim --help", value, name, expected);
}

struct getopt_table {
    struct option longs[2 * OPTIONS_MAX + 2]; /* names, older names, help */
    char shorts[2 * OPTIONS_MAX + 4];         /* leading '+' and ':', letters, their ':', 'h' */
};

/* Where operands may be mixed with options, getopt gives them as CODE_OPERAND ('-' in front). */
static void fill_getopt_table(struct getopt_table *getopt, const struct option_table *table)
{
    char *next = stpcpy(getopt->shorts, table->operand ? "-:h" : "+:h");

    struct option *next_long = getopt->longs;

    memset(getopt->longs, 0, sizeof getopt->longs);
    for (size_t i = 0; i < table->count; i++) {
        const struct option_row *row = &table->rows[i];
        int has_argument = row->argument ? required_argument : no_argument;
        *next_long++ = (struct option){row->name, has_argument, NULL, FIRST_CODE + (int)i};
        if (row->old_name)
            *next_long++ = (struct option){row->old_name, has_argument, NULL, FIRST_CODE + (int)i};
        if (row->letter)
            *next++ = row->letter;
        if (row->letter && row->argument)
            *next++ = ':';
    }
    *next = '\0';
    *next_long = (struct option){"help", no_argument, NULL, CODE_HELP};
}

static const struct option_row *find_row(const struct option_table *table, int code)
{
    if (code >= FIRST_CODE)
        return &table->rows[code - FIRST_CODE];
    for (size_t i = 0; i < table->count; i++)
        if (table->rows[i].letter == code)
            return &table->rows[i];
    return NULL;
}

/* getopt's own messages, in our words. Shows the argument as the reader typed it. */
static void describe_bad_option(const struct option_table *table, char **argv, int code,
                                struct option_fault *fault)
{
    char letter[] = {'-', (char)optopt, '\0'};
    const char *text = argv[optind - 1];

    /* Among several letters (-qZv) optind has not moved on yet. Of --quiet=1 optopt is known. */
    if (code == '?' && optopt > 0 && optopt != CODE_HELP && optopt < FIRST_CODE &&
        !find_row(table, optopt))
        text = letter;
    if (code == ':')
        snprintf(fault->text, sizeof fault->text, "option %s needs a value; see sshim --help",
                 text);
    else
        snprintf(fault->text, sizeof fault->text,
                 "unknown option %s of 'sshim %s'; see sshim --help", text, table->command);
}

static enum option_end read_operand(const struct option_table *table, void *into, const char *text,
                                    struct option_fault *fault)
{
    if (table->operand(into, text))
        return OPTION_END_WELL;
    snprintf(fault->text, sizeof fault->text, "sshim %s takes no argument '%s'; see sshim --help",
             table->command, text);
    return OPTION_END_FAULT;
}

static bool is_of_command(const struct option_row *row, const char *command)
{
    size_t len = strlen(command);

    for (const char *at = row->commands; at && (at = strstr(at, command)) != NULL; at += len)
        if ((at == row->commands || at[-1] == ' ') && (at[len] == ' ' || at[len] == '\0'))
            return true;
    return row->commands == NULL;
}

static enum option_end read_option(const struct option_table *table, void *into, char **argv,
                                   int code, struct option_fault *fault)
{
    char name[64];

    if (code == CODE_HELP)
        return OPTION_END_HELP;
    if (code == CODE_OPERAND)
        return read_operand(table, into, optarg, fault);
    if (code == '?' || code == ':') {
        describe_bad_option(table, argv, code, fault);
        return OPTION_END_FAULT;
    }
    const struct option_row *row = find_row(table, code);
    if (!is_of_command(row, table->command)) {
        option_fail(fault, "sshim %s takes no --%s, an option of: %s; see sshim --help",
                    table->command, row->name, row->commands);
        return OPTION_END_FAULT;
    }
    if (row->argument && strcmp(optarg, "--") == 0) { /* no value, but the end of the options */
        option_fail(fault, "option --%s needs a value; see sshim --help", row->name);
        return OPTION_END_FAULT;
    }
    if (table->take ? table->take(into, row, optarg) : row->read(row, into, optarg))
        return OPTION_END_WELL;
    snprintf(name, sizeof name, "--%s", row->name);
    option_refuse(row, name, optarg, fault);
    return OPTION_END_FAULT;
}

enum option_end options_read(const struct option_table *table, void *into, int argc, char **argv,
                             struct option_fault *fault)
{
    struct getopt_table getopt;
    enum option_end end = OPTION_END_WELL;
    int code;

    snprintf(fault->text, sizeof fault->text, "sshim --help tells the options");
    fill_getopt_table(&getopt, table);
    for (size_t i = 0; i < table->count; i++)
        if (table->rows[i].initial && !table->take)
            table->rows[i].read(&table->rows[i], into, table->rows[i].initial);
    optind = 0; /* glibc: start over, re-read the flags in the option string */
    while (end == OPTION_END_WELL &&
           (code = getopt_long(argc, argv, getopt.shorts, getopt.longs, NULL)) != -1)
        end = read_option(table, into, argv, code, fault);
    for (; end == OPTION_END_WELL && table->operand && optind < argc; optind++) /* behind -- */
        end = read_operand(table, into, argv[optind], fault);
    return end;
}

enum proceed options_end(enum option_end end, const struct option_fault *fault,
                         void (*print_help)(void), int *exit_code)
{
    switch (end) {
    case OPTION_END_WELL: return GO_ON;
    case OPTION_END_HELP:
        print_help();
        *exit_code = EXIT_STOPPED;
        return DONE;
    case OPTION_END_FAULT: break;
    }
    log_error("%s", fault->text);
    *exit_code = EXIT_USAGE;
    return DONE;
}

enum proceed options_parse(const struct option_table *table, void *into, int argc, char **argv,
                           void (*print_help)(void), int *exit_code)
{
    struct option_fault fault;

    enum option_end end = options_read(table, into, argc, argv, &fault);
    return options_end(end, &fault, print_help, exit_code);
}

/* Prints words from column `at` on; further lines begin at TEXT_COLUMN. */
static void print_wrapped(const char *text, size_t at)
{
    while (*text) {
        size_t word = strcspn(text, " ");
        if (at > TEXT_COLUMN && at + 1 + word > LINE_WIDTH) {
            printf("\n%*s", TEXT_COLUMN, "");
            at = TEXT_COLUMN;
        }
        at += (size_t)printf("%s%.*s", at > TEXT_COLUMN ? " " : "", (int)word, text);
        text += word + (text[word] == ' ');
    }
    putchar('\n');
}

static void print_row(const struct option_row *row)
{
    char letter[] = {'-', row->letter, ',', ' ', '\0'};
    int used = printf("  %4s--%s%s%s", row->letter ? letter : "", row->name,
                      row->argument ? " " : "", row->argument ? row->argument : "");

    if (used + 2 > TEXT_COLUMN)
        used = printf("\n") - 1;
    printf("%*s", TEXT_COLUMN - used, "");
    print_wrapped(row->help, TEXT_COLUMN);
}

void options_print(const struct option_table *table)
{
    static const struct option_row help = {
        .name = "help", .letter = CODE_HELP, .help = "this text"};

    for (size_t i = 0; i < table->count; i++)
        print_row(&table->rows[i]);
    print_row(&help);
}
