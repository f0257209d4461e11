/* fuzz_hold.c - what a client may send before its connection is offered. */
#include "broker/handout/front/hold.h"
#include "fuzz.h"

/* The first byte chooses the kind, the rest came from the client. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    bool was_complete = false;

    if (len < 1)
        return 0;
    enum config_hold kind = (enum config_hold)(HOLD_DATA + bytes[0] % HOLD_TLS);
    for (size_t n = 0; n < len; n++) { /* what is complete stays so */
        bool is_complete = hold_is_complete(kind, bytes + 1, n);
        MUST(is_complete || !was_complete);
        was_complete = is_complete;
    }
    return 0;
}
