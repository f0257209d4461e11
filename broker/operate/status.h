/* status.h - what the broker tells about itself. Both give a malloc'ed text of *len bytes, or NULL.
 */
#ifndef SSHIM_BROKER_OPERATE_STATUS_H
#define SSHIM_BROKER_OPERATE_STATUS_H

#include <stddef.h>

/* For a person. */
char *status_render_table(size_t *len);

/* One JSON document, see sshim(1). */
char *status_render_json(size_t *len);

#endif
