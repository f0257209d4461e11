/* test_channel_name.c - proto/channel_name.c: what is formatted is recognised, nothing else is. */
#include <string.h>

#include "proto/channel_name.h"
#include "unit.h"

static void is_read_back(void)
{
    const uint64_t ids[] = {0, 1, 0xf, 0x123456789abcdef0, UINT64_MAX, UINT64_MAX - 1};

    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        struct sockaddr_un name;
        uint64_t id = ~ids[i];
        socklen_t len = channel_name_format(&name, ids[i]);
        CHECK(len <= sizeof name);
        CHECK(channel_name_parse(&name, len, &id));
        CHECK(id == ids[i]);
    }
}

static void is_abstract(void)
{
    struct sockaddr_un name;

    channel_name_format(&name, 5);
    CHECK(name.sun_family == AF_UNIX);
    CHECK(name.sun_path[0] == '\0');
}

static void refuses_what_is_near(void)
{
    struct sockaddr_un name;
    uint64_t id;
    socklen_t len = channel_name_format(&name, 0xabcdef);

    CHECK(!channel_name_parse(&name, len - 1, &id));
    CHECK(!channel_name_parse(&name, len + 1, &id));
    CHECK(!channel_name_parse(&name, 0, &id));
    for (size_t i = 0; i < len; i++) {
        struct sockaddr_un changed = name;
        ((char *)&changed)[i] ^= 0x40;
        CHECK(!channel_name_parse(&changed, len, &id));
    }
}

int main(void)
{
    unit_run("channel name: what was formatted is read back", is_read_back);
    unit_run("channel name: it is an abstract name", is_abstract);
    unit_run("channel name: another length or any changed byte is refused", refuses_what_is_near);
    return unit_end();
}
