/* status.h - renders the broker's status. Both give a malloc'ed text of *len bytes, or NULL. */
#ifndef SSHIM_BROKER_OPERATE_TELL_STATUS_H
#define SSHIM_BROKER_OPERATE_TELL_STATUS_H

#include <stdbool.h>
#include <stddef.h>

#include "broker/base/options.h"

/* X(NAME, "word", exit code of sshim status): what the pool as a whole does. */
#define STATUS_STATES(X)                                                                           \
    X(STARTING, "starting", 0) /* the missing workers are about to come */                         \
    X(READY, "ready", 0)       /* as many as are wanted are ready */                               \
    X(DEGRADED, "degraded",                                                                        \
      EXIT_STATUS_DEGRADED)        /* fewer are ready, and a worker that is missing has failed */  \
    X(FAILING, "failing", 3)       /* the same, and none is ready */                               \
    X(RESTARTING, "restarting", 0) /* a rolling restart is under way */                            \
    X(STOPPING, "stopping", 3)     /* nothing new is served */

enum status_state {
#define X(name, text, exit_code) STATUS_##name,
    STATUS_STATES(X)
#undef X
};

/* Of the JSON documents: grows when a member changes its meaning or is gone, not when one is added.
 */
#define STATUS_SCHEMA_VERSION 1

enum status_state status_state(void);

/* Whether clients are to be sent here: all (or --ready-min) were ready once, one (or --ready-min)
 * is now, and the broker is not about to stop. */
bool status_is_serving(void);

/* The state and the numbers in one line, for a service manager. */
void status_describe(char *text, size_t size);

/* What `sshim status` exits with now; strict (--wait ready): 0 only when it is ready. */
int status_exit_code(bool strict);

/* For a person. */
char *status_render_table(size_t *len);

/* What `sshim list` shows of this instance: a row, and the same as a JSON
 * document. */
char *status_render_row(size_t *len);
char *status_render_item(size_t *len);

/* One JSON document, see sshim(1). */
char *status_render_json(size_t *len);

#endif
