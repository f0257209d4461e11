/* fuzz_address.c - addresses as a worker may send them, and patterns as an operator may write them.
 */
#include <string.h>

#include "broker/base/address.h"
#include "fuzz.h"

/* The first byte is the length of the address that follows; the rest is a pattern. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct wire_address wire = {0};
    struct address address;
    char text[ADDRESS_TEXT_MAX];
    char pattern[256] = {0};

    if (len < 1)
        return 0;
    wire.len_bytes = bytes[0];
    bytes++;
    len--;
    size_t room = len < sizeof wire.bytes ? len : sizeof wire.bytes;
    memcpy(wire.bytes, bytes, room);
    memcpy(pattern, bytes + room,
           len - room < sizeof pattern - 1 ? len - room : sizeof pattern - 1);
    address_is_pattern(pattern);
    if (!address_from_wire(&address, &wire))
        return 0;
    MUST(address_equal(&address, &address));
    MUST(strlen(address_format(&address, text)) < ADDRESS_TEXT_MAX);
    for (const char *c = text; *c; c++)
        MUST(*c >= ' ' && *c < 0x7f);
    MUST(!(address_is_path(&address) && address_has_port_zero(&address)));
    MUST(address_matches(&address, "", "all"));
    address_matches(&address, "", pattern);
    address_matches(&address, "", text);
    address_hash_host(&address.storage);
    return 0;
}
