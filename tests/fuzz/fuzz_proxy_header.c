/* fuzz_proxy_header.c - the first bytes of a connection that should begin with a PROXY header. */
#include <string.h>
#include <sys/socket.h>

#include "broker/handout/front/proxy_header.h"
#include "fuzz.h"

/* The verdict on each prefix: once it is not INCOMPLETE, it stays. */
static void read_in_pieces(const uint8_t *bytes, size_t len, enum config_accept_proxy version)
{
    struct proxy_header first = {0}, header;
    enum proxy_verdict verdict = PROXY_INCOMPLETE;

    for (size_t seen = 0; seen <= len; seen++) {
        enum proxy_verdict now = proxy_header_read(bytes, seen, version, &header);
        if (verdict != PROXY_INCOMPLETE) {
            MUST(now == verdict);
            MUST(now == PROXY_INVALID || header.len == first.len);
        } else if (now != PROXY_INCOMPLETE) {
            verdict = now;
            first = header;
        }
        if (now == PROXY_INCOMPLETE)
            MUST(header.len > seen && header.len <= PROXY_HEADER_MAX);
        if (now == PROXY_COMPLETE)
            MUST(header.len <= seen);
        if (now == PROXY_COMPLETE && header.has_ends)
            MUST(header.source.ss_family == header.destination.ss_family);
        MUST((now == PROXY_INVALID) == (header.fault != NULL));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    read_in_pieces(bytes, len, ACCEPT_PROXY_V1);
    read_in_pieces(bytes, len, ACCEPT_PROXY_V2);
    read_in_pieces(bytes, len, ACCEPT_PROXY_ANY);
    return 0;
}
