/*
 * gather.h - the options of `sshim run` as the environment, a file and the command line give them,
 * before they are one configuration. For the files of this folder.
 */
#ifndef SSHIM_BROKER_CLI_SETTINGS_GATHER_H
#define SSHIM_BROKER_CLI_SETTINGS_GATHER_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "broker/base/config.h"

#define VARIABLE_SIZE 64

/* A later one wins. */
enum source { FROM_FILE_NAME, FROM_FILE, FROM_ENVIRONMENT, FROM_ARGUMENTS };

struct setting {
    const struct option_row *row;
    const char *value; /* NULL: the option takes none, and is given */
    enum source source;
    unsigned line; /* of the file */
};

struct settings {
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
    unsigned resolved_from_file; /* so many options, which come first in it */
};

extern struct settings settings;

/* The options there are. */
const struct option_table *gather_table(void);

/* The row of this name, or NULL. */
const struct option_row *gather_find_row(const char *name);

/* One more setting; keeps value. False: out of memory. */
bool gather_add(const struct option_row *row, const char *value, enum source source, unsigned line);

/* Whether no other source of this option is stronger; the last one that wins, or NULL. */
bool gather_wins(const struct setting *setting);
const struct setting *gather_find(const struct option_row *row);

/* Whether it says no, of an option that takes no value. */
bool gather_is_no(const struct setting *setting);

/* --stop-timeout is SSHIM_STOP_TIMEOUT; name has VARIABLE_SIZE bytes. */
void gather_name_variable(const struct option_row *row, char *name);

/* Takes our variables out of the environment. False after one line in the log. */
bool gather_environment(void);

/* Reads settings.file. False: the fault says why. */
bool gather_file(struct option_fault *fault);

/* The instance has the file's name unless it is given another one. */
bool gather_name_after_file(void);

/* All as one command line, on the heap; the program and "run" come from program_argv. NULL: out of
 * memory. */
char **gather_resolve(char **program_argv);
/* What gather_resolve() has made; NULL is permitted. */
void gather_free_resolved(char **all);

size_t gather_count_words(char *const *words);

#endif
