/*
 * exposition.h - a broker's status as metrics in the text format of Prometheus. Names have base
 * units, counters end in _total; the label worker is the slot.
 */
#ifndef SSHIM_OBSERVE_EXPOSITION_H
#define SSHIM_OBSERVE_EXPOSITION_H

#include <jansson.h>
#include <stddef.h>

/* The text for this status document (of `status --json`), of *len bytes; free() it. NULL with errno
 * ENOMEM. */
char *exposition_render(const json_t *status, size_t *len);

#endif
