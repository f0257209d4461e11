/* channel_name.c - formats and parses the name of a channel. */
#include "channel_name.h"

#include <stddef.h>
#include <string.h>

static const char prefix[] = "\0sshim-channel:";

#define PREFIX_LEN (sizeof prefix - 1)
#define DIGITS 16
#define NAME_LEN ((socklen_t)(offsetof(struct sockaddr_un, sun_path) + PREFIX_LEN + DIGITS))

socklen_t channel_name_format(struct sockaddr_un *name, uint64_t id)
{
    static const char hex[] = "0123456789abcdef";

    memset(name, 0, sizeof *name);
    name->sun_family = AF_UNIX;
    memcpy(name->sun_path, prefix, PREFIX_LEN);
    for (unsigned i = 0; i < DIGITS; i++)
        name->sun_path[PREFIX_LEN + i] = hex[id >> (4 * (DIGITS - 1 - i)) & 0xf];
    return NAME_LEN;
}

bool channel_name_parse(const struct sockaddr_un *name, socklen_t len, uint64_t *id)
{
    if (len != NAME_LEN || name->sun_family != AF_UNIX ||
        memcmp(name->sun_path, prefix, PREFIX_LEN) != 0)
        return false;
    *id = 0;
    for (unsigned i = 0; i < DIGITS; i++) {
        char c = name->sun_path[PREFIX_LEN + i];
        bool letter = c >= 'a' && c <= 'f';
        if (!letter && !(c >= '0' && c <= '9'))
            return false;
        *id = *id << 4 | (uint64_t)(letter ? c - 'a' + 10 : c - '0');
    }
    return true;
}
