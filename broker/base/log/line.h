/* line.h - a record as one line of text. Pure. */
#ifndef SSHIM_BROKER_BASE_LOG_LINE_H
#define SSHIM_BROKER_BASE_LOG_LINE_H

#include <stddef.h>
#include <stdint.h>

#include "broker/base/log/record.h"

/* A pipe takes so much as a whole, see PIPE_BUF in pipe(7). */
#define LINE_SIZE 4096
#define LINE_SCHEMA_VERSION 1

enum line_form {
    LINE_HUMAN,   /* sshim: message */
    LINE_COLOUR,  /* the same for a terminal */
    LINE_DATED,   /* the same with the time in front, for a file */
    LINE_JOURNAL, /* <N>message, see sd-daemon(3) */
    LINE_LOGFMT,
    LINE_JSON,
};

struct line_head {
    const char *instance;
    uint64_t dropped; /* lines that could not be written before this one */
    uint64_t number;  /* JSON: seq; 0: none */
};

/* As programs know it. */
const char *line_event_name(enum log_event event);

/*
 * Writes the line, which ends with a newline and a zero, and gives its length. What has no room in
 * size bytes, at least 512, is cut so that the line stays valid. Control characters become '?', and
 * in JSON what is not UTF-8 as well: names in it may come from workers.
 */
size_t line_format(enum line_form form, const struct log_record *record,
                   const struct line_head *head, char *line, size_t size);

#endif
