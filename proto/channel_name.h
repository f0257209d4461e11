/*
 * channel_name.h - the abstract name of the broker's end of a channel, by which the worker's end is
 * recognised.
 *
 * "\0sshim-channel:" and the 64-bit id in 16 hexadecimal digits; getpeername(2) on the worker's end
 * gives it. Pure, async-signal-safe.
 */
#ifndef SSHIM_PROTO_CHANNEL_NAME_H
#define SSHIM_PROTO_CHANNEL_NAME_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

/* Fills in the name of this id and returns its length for bind(2). */
socklen_t channel_name_format(struct sockaddr_un *name, uint64_t id);

/* Whether this address is such a name; then *id is its id. */
bool channel_name_parse(const struct sockaddr_un *name, socklen_t len, uint64_t *id);

#endif
