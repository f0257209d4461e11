/* line.h - one line of text that a peer sends over a stream, in pieces perhaps. Knows no commands.
 */
#ifndef SSHIM_BROKER_POOL_SESSION_LINE_H
#define SSHIM_BROKER_POOL_SESSION_LINE_H

#include <stddef.h>

#include "proto/wire.h"

struct line {
    char text[WIRE_LINE_MAX]; /* ends with a zero, without the newline */
    size_t len_bytes;
};

enum line_state {
    LINE_PART,  /* more is to come */
    LINE_WHOLE, /* or what there was before the end of the stream */
    LINE_LONG,  /* longer than there is room for */
    LINE_NONE,  /* the stream has ended, or failed, without any */
};

/*
 * Receives what is there, without waiting; borrows fd. flags as for recv(2): with MSG_PEEK what the
 * peer sent stays there, and what there is counts as whole.
 */
enum line_state line_receive(struct line *line, int fd, int flags);

#endif
