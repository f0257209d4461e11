/*
 * request.h - whether the beginning of what a client sent is complete. Pure functions on bytes of a
 * stranger.
 */
#ifndef SSHIM_BROKER_HANDOUT_FRONT_REQUEST_H
#define SSHIM_BROKER_HANDOUT_FRONT_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/base/config.h"

#define REQUEST_MAX 16384 /* bytes; more is complete, whatever it is */

/* Whether these first bytes are as much as the kind asks for, or cannot become that any more. */
bool request_is_complete(enum config_hold kind, const uint8_t *bytes, size_t len);

#endif
