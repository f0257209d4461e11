/* target_options.c - see target_options.h. */
#include "broker/cli/options/target_options.h"

#include <stdio.h>
#include <string.h>

#include "broker/cli/options/help.h"
#include "broker/cli/options/rows.h"

/* How many arguments that are no options a command takes. */
static const struct {
    const char *command;
    unsigned at_least, at_most;
    const char *wanted;
} operands[] = {
    {"restart", 0, 1, ""},
    {"scale", 1, 1, "a number of workers: N, +N or -N"},
    {"drain", 1, 1, "the number of a slot; sshim status shows them"},
    {"resume", 1, 1, "the number of a slot; sshim status shows them"},
    {"kill", 1, 2, "the number of a slot; sshim status shows them"},
    {"deny", 1, 1, "an address, or a network as 10.0.0.0/8"},
    {"allow", 1, 1, "an address, or a network as 10.0.0.0/8"},
};

static bool take_operand(void *into, const char *text)
{
    struct config_target *target = into;

    if (target->operand_count == target->operands_max)
        return false;
    target->operands[target->operand_count++] = text;
    return true;
}

static bool is_negative_number(const char *text)
{
    return text[0] == '-' && text[1] && text[1 + strspn(text + 1, "0123456789")] == '\0';
}

/* -2 is what `sshim scale` is asked for; getopt would take it for an option. */
static int take_negative_numbers(struct config_target *target, int argc, char **argv)
{
    int kept = 1;

    for (int i = 1; i < argc; i++)
        if (!is_negative_number(argv[i]) || !take_operand(target, argv[i]))
            argv[kept++] = argv[i];
    argv[kept] = NULL;
    return kept;
}

/* What has no meaning together with the rest of the line. NULL: all of it has one. */
static const char *find_idle_option(const struct config_target *target)
{
    if (target->name && target->control)
        return "--name and --control both say which instance: give one of them";
    if (strcmp(target->command, "status") == 0 && !target->wait &&
        target->timeout_s != CONFIG_NOT_GIVEN)
        return "--timeout says how long to wait: give --wait as well";
    if (target->no_wait && target->timeout_s != CONFIG_NOT_GIVEN)
        return "--timeout says how long to wait: leave --no-wait out";
    if (target->parallel && target->operand_count > 0)
        return "--parallel is for a restart of all slots: leave it out, or the slot";
    return NULL;
}

enum option_end target_options_read(struct config_target *target, int argc, char **argv,
                                    struct option_fault *fault)
{
    struct option_table table = rows_of_targets;
    unsigned at_least = 0;
    const char *wanted = "";

    *target = (struct config_target){.command = argv[0],
                                     .timeout_s = CONFIG_NOT_GIVEN,
                                     .stop_timeout_s = CONFIG_NOT_GIVEN,
                                     .after = CONFIG_NOT_GIVEN};
    table.command = argv[0];
    table.operand = take_operand;
    for (size_t i = 0; i < sizeof operands / sizeof operands[0]; i++)
        if (strcmp(operands[i].command, argv[0]) == 0) {
            at_least = operands[i].at_least;
            target->operands_max = operands[i].at_most;
            wanted = operands[i].wanted;
        }
    argc = take_negative_numbers(target, argc, argv);
    enum option_end end = options_read(&table, target, argc, argv, fault);
    if (end != OPTION_END_WELL)
        return end;
    const char *idle = find_idle_option(target);
    if (idle)
        option_fail(fault, "%s; see sshim --help", idle);
    else if (target->operand_count < at_least)
        option_fail(fault, "sshim %s needs %s; see sshim --help", argv[0], wanted);
    else
        return OPTION_END_WELL;
    return OPTION_END_FAULT;
}

enum proceed target_options_parse(struct config_target *target, int argc, char **argv,
                                  int *exit_code)
{
    struct option_fault fault;

    enum option_end end = target_options_read(target, argc, argv, &fault);
    return options_end(end, &fault, help_print, exit_code);
}

void target_options_format(const struct config_target *target, char *line, size_t size)
{
    const char *base = (const char *)target;
    size_t used = (size_t)snprintf(line, size, "%s", target->command);

    for (unsigned i = 0; i < target->operand_count && used < size; i++)
        used += (size_t)snprintf(line + used, size - used, " %s", target->operands[i]);
    for (size_t i = 0; i < rows_of_targets.count && used < size; i++) {
        const struct option_row *row = &rows_of_targets.rows[i];
        const void *field = base + row->offset;
        if (row->read == option_flag && *(const bool *)field)
            used += (size_t)snprintf(line + used, size - used, " --%s", row->name);
        if (row->read == option_number &&
            *(const unsigned *)field != (row->min == 0 ? CONFIG_NOT_GIVEN : 0))
            used += (size_t)snprintf(line + used, size - used, " --%s=%u", row->name,
                                     *(const unsigned *)field);
    }
}
