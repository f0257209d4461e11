/*
 * log.h - messages and events. Before log_open() they are lines "sshim: ..." on stderr. Never
 * blocks: a line that a full pipe does not take is dropped and counted, and the next line says how
 * many were lost.
 */
#ifndef SSHIM_BROKER_BASE_LOG_H
#define SSHIM_BROKER_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/base/log/record.h"

/* In the order of CONFIG_LOG_FORMATS. */
enum log_format { LOG_FORMAT_AUTO, LOG_FORMAT_HUMAN, LOG_FORMAT_LOGFMT, LOG_FORMAT_JSON };

struct log_options {
    enum log_level level;
    enum log_format format;
    const char *file;     /* NULL: standard error */
    const char *instance; /* borrows for ever */
};

/* As log_open(), the level alone. */
void log_set_level(enum log_level level);

/* Sets where lines go from now on, and how they look. Errors go to standard error as well. False:
 * the file cannot be opened, errno as of open(2); lines go to standard error then. */
bool log_open(const struct log_options *options);

/* Another form and another file (keeps path; NULL: none) from now on. False with the errno of
 * open(2): nothing has changed. */
bool log_change(enum log_format format, const char *path);

/* Opens the file anew. False: it goes on with the old one, errno as of open(2). */
bool log_reopen(void);

/*
 * On a terminal: this text stays in the last row, in the place of the one before, and what anybody
 * writes scrolls above it; NULL: none any more. False: standard error is no terminal for people, or
 * -q was given; then nothing is shown.
 */
#define LOG_PROGRESS_SIZE 80
bool log_set_progress(const char *text);

/* Lines that were lost since this process began. */
uint64_t log_dropped(void);

/* Is called with each event that has a name, whatever the level. */
void log_set_observer(void (*on_event)(const struct log_record *record));

/* Something that programs look for, with its facts (LOG_FACTS() or NULL), which the message tells
 * people as well. */
__attribute__((format(printf, 4, 5))) void log_event(enum log_level level, enum log_event event,
                                                     const struct log_fact *facts,
                                                     const char *format, ...);

/* Something failed: cannot <verb> <object>: <reason>; <what the reader can do>. Always shown. */
__attribute__((format(printf, 1, 2))) void log_error(const char *format, ...);

/* News for an operator: shown unless -q. */
__attribute__((format(printf, 1, 2))) void log_info(const char *format, ...);

/* Details for finding a fault: shown with -v. */
__attribute__((format(printf, 1, 2))) void log_debug(const char *format, ...);

#endif
