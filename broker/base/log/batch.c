/* batch.c - see batch.h. */
#include "broker/base/log/batch.h"

#include <stdbool.h>
#include <string.h>

void batch_flush(struct batch *batch)
{
    bool is_taken = batch->lines == 0 || sink_write(&batch->sink, batch->text, batch->used);

    batch->untold = is_taken ? batch->untold - batch->told : batch->untold + batch->lines;
    batch->dropped += is_taken ? 0 : batch->lines;
    batch->used = 0;
    batch->lines = 0;
    batch->told = 0;
}

/* The first line says how many were lost. */
static size_t format(const struct batch *batch, enum line_form form,
                     const struct log_record *record, const char *instance, char *line)
{
    struct line_head head = {.instance = instance, .dropped = batch->lines ? 0 : batch->untold};

    return line_format(form, record, &head, line, LINE_SIZE);
}

void batch_add(struct batch *batch, enum line_form form, const struct log_record *record,
               const char *instance)
{
    char line[LINE_SIZE];
    size_t len = format(batch, form, record, instance, line);

    if (batch->used + len > sizeof batch->text) {
        batch_flush(batch);
        len = format(batch, form, record, instance, line);
    }
    if (batch->lines == 0)
        batch->told = batch->untold;
    memcpy(batch->text + batch->used, line, len);
    batch->used += len;
    batch->lines++;
}

void batch_drop(struct batch *batch, uint32_t lines)
{
    batch->dropped += lines;
    batch->untold += lines;
}
