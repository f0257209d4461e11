/* settings.c - see settings.h. */
#include "broker/cli/settings/settings.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/base/log.h"
#include "broker/cli/options/help.h"
#include "broker/cli/options/run_options.h"
#include "broker/cli/settings/config_file.h"
#include "broker/cli/settings/gather.h"
#include "broker/cli/settings/reread.h"

static bool take_argument(void *into, const struct option_row *row, const char *value)
{
    return row->read(row, into, value) && gather_add(row, value, FROM_ARGUMENTS, 0);
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
    const struct setting *given = gather_find(gather_find_row("config"));

    if (given && snprintf(settings.file, sizeof settings.file, "%s", given->value) >= PATH_MAX) {
        log_error("cannot read the file of --config: its path is too long; give a shorter one");
        return false;
    }
    if (!given && is_file_word(*argc, argv) &&
        config_file_find(argv[optind], settings.file, sizeof settings.file))
        *argc = optind; /* the word is no command */
    return true;
}

static bool gather_all(int argc, char **argv)
{
    struct option_fault fault;

    if (!gather_environment() || !choose_file(&argc, argv))
        return false;
    if (*settings.file && !gather_file(&fault)) {
        log_error("%s", fault.text);
        return false;
    }
    if (*settings.file && !gather_name_after_file())
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

enum proceed settings_read(struct config *config, int argc, char **program_argv, char ***resolved,
                           int *exit_code)
{
    struct option_table gathering = *gather_table();

    *resolved = program_argv;
    if (secure_getenv("SSHIM_RESUME")) { /* all was resolved already */
        reread_recall(argc, program_argv);
        return run_options_parse(config, argc, program_argv + 1, exit_code);
    }
    gathering.take = take_argument;
    if (options_parse(&gathering, &settings.checked, argc, program_argv + 1, help_print,
                      exit_code) == DONE)
        return DONE;
    *exit_code = EXIT_USAGE;
    if (!gather_all(argc, program_argv + 1))
        return DONE;
    if (!come_from_arguments_alone())
        *resolved = settings.resolved = gather_resolve(program_argv);
    if (*resolved)
        return run_options_parse(config, (int)gather_count_words(*resolved) - 1, *resolved + 1,
                                 exit_code);
    log_error("cannot start: out of memory; check the memory limits of this process");
    return DONE;
}

static bool is_one_of(const char *name, const char *const *names)
{
    while (*names && strcmp(name, *names) != 0)
        names++;
    return *names != NULL;
}

char **settings_resolve_without(char **program_argv, const char *const *names)
{
    size_t kept = 0;

    for (size_t i = 0; i < settings.count; i++)
        if (!is_one_of(settings.at[i].row->name, names))
            settings.at[kept++] = settings.at[i];
    settings.count = kept;
    return gather_resolve(program_argv);
}
