/*
 * batch.h - lines for a sink, many with one write(2). A line that is not taken is counted, and the
 * next one says how many were lost before it.
 */
#ifndef SSHIM_BROKER_BASE_LOG_BATCH_H
#define SSHIM_BROKER_BASE_LOG_BATCH_H

#include <stddef.h>
#include <stdint.h>

#include "broker/base/log/line.h"
#include "broker/base/log/sink.h"

struct batch {
    struct sink sink;
    char text[LINE_SIZE]; /* whole lines, which a pipe takes at once or not at all */
    size_t used;
    unsigned lines;
    uint64_t told;    /* lines lost before, as the first one says */
    uint64_t dropped; /* lines that were not taken, in all */
    uint64_t untold;  /* of these */
};

/* Adds the line of this record. instance: the broker's name. */
void batch_add(struct batch *batch, enum line_form form, const struct log_record *record,
               const char *instance);

/* So many more were lost before they came here. */
void batch_drop(struct batch *batch, uint32_t lines);

/* Writes what was added. */
void batch_flush(struct batch *batch);

#endif
