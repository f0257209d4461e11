/* fuzz_wire.c - wire_check() over any datagram; what it accepts has lengths that stay inside. */
#include <string.h>

#include "fuzz.h"
#include "proto/channel_name.h"
#include "proto/wire.h"

static void check_accepted(int type, const uint8_t *bytes, size_t len)
{
    MUST(len >= sizeof(struct wire_head) && len <= WIRE_MESSAGE_MAX);
    if (type == WIRE_OFFER) {
        struct wire_offer offer = {0};
        memcpy(&offer, bytes, len);
        MUST(offer.addr_len <= sizeof offer.addr && WIRE_OFFER_MIN + offer.addr_len == len);
    } else if (type == WIRE_CLAIM) {
        struct wire_claim claim = {0};
        MUST(len == WIRE_CLAIM_MIN || len == sizeof claim);
        memcpy(&claim, bytes, len);
        MUST(claim.address.len_bytes <= sizeof claim.address.bytes);
    }
}

/* The first byte says whether an fd came along. An exact copy, so that reading past its end is
 * seen. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct sockaddr_un name = {0};
    uint64_t id;

    if (len == 0)
        return 0;
    uint8_t *copy = malloc(len);
    memcpy(copy, bytes, len);
    int type = wire_check(copy + 1, len - 1, copy[0] & 1);
    if (type >= 0)
        check_accepted(type, copy + 1, len - 1);
    MUST(wire_type_name(type) != NULL);
    memcpy(&name, copy, len < sizeof name ? len : sizeof name);
    if (channel_name_parse(&name, (socklen_t)(len < sizeof name ? len : sizeof name), &id)) {
        struct sockaddr_un again;
        socklen_t again_len = channel_name_format(&again, id);
        MUST(memcmp(&again, &name, again_len) == 0);
    }
    free(copy);
    return 0;
}
