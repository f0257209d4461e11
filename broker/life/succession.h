/*
 * succession.h - whether a new copy can take the place of an old one: it listens where the old one
 * listens, and has come to wait there.
 */
#ifndef SSHIM_BROKER_LIFE_SUCCESSION_H
#define SSHIM_BROKER_LIFE_SUCCESSION_H

#include <stdbool.h>
#include <stddef.h>

#include "broker/life/slot.h"

/*
 * Whether the successor of this slot serves all that the slot's worker serves. Another address of
 * the same kind (IP or AF_UNIX) may stand for an old one: the configuration may have changed. If
 * not, text says what is missing, to be read after "the new copy".
 */
bool succession_is_complete(const struct slot *slot, char *text, size_t size);

#endif
