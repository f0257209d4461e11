/*
 * config_file.h - a file of options: lines 'name = value', and what they say. Which names there are
 * is for settings.c. The syntax is in sshim(1).
 */
#ifndef SSHIM_BROKER_CLI_SETTINGS_CONFIG_FILE_H
#define SSHIM_BROKER_CLI_SETTINGS_CONFIG_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "broker/base/options.h"

/*
 * WORD.conf in the user's folder (~/.config/sshim, see the XDG base directory specification), else
 * in /etc/sshim. False: there is none, and path is "".
 */
bool config_file_find(const char *word, char *path, size_t size);

/*
 * The whole text, on the heap, ended by a NUL. Of root's, nobody else may be able to write to it.
 * NULL: the fault says why.
 */
char *config_file_read(const char *path, struct option_fault *fault);

/* Where the next line of a text begins. */
struct config_lines {
    char *rest;
    unsigned number; /* of the last line that was given */
};

struct config_line {
    const char *name; /* "": there is no '=' */
    char *value;
};

/*
 * Gives the next line that says something, without its comment; names and values are cut out of the
 * text itself. False: that was all. The value of 'command' keeps its comment for
 * config_file_split().
 */
bool config_file_next(struct config_lines *lines, struct config_line *line);

/*
 * Splits a command line into words in its own place, as a shell would, but expands nothing. *words
 * is on the heap, ended by NULL. Gives NULL, or what is wrong; *words is NULL then.
 */
const char *config_file_split(char *text, char ***words);

#endif
