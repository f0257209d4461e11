/* request.c - see request.h. */
#include "broker/handout/front/request.h"

#include <string.h>

bool request_is_complete(enum config_hold kind, const uint8_t *bytes, size_t len)
{
    if (len >= REQUEST_MAX)
        return true;
    return kind == HOLD_LINE ? memchr(bytes, '\n', len) != NULL : len > 0;
}
