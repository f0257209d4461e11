/* ask.h - asks a broker for its status over a stream that stays open: a line out, a line in. */
#ifndef SSHIM_OBSERVE_ASK_H
#define SSHIM_OBSERVE_ASK_H

#include <jansson.h>
#include <stddef.h>

/* A stream to the broker with this control path, on which reads and writes wait this long; the
 * caller closes it. -1 with the errno of socket(2) or connect(2). */
int ask_connect(const char *control, int timeout_s);

/* Sends "status --json" on this connected socket (borrows) and waits for the answer, up to its
 * SO_RCVTIMEO. The text as it came, of *len bytes; free() it. NULL: the broker is gone, or does not
 * answer. */
char *ask_status_text(int fd, size_t *len);

#endif
