/* fuzz_cidr.c - lists of networks as an operator writes them. */
#include <string.h>

#include "broker/base/cidr.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static struct cidr_set set;
    char list[1024] = {0}, text[CIDR_TEXT_MAX];
    struct cidr cidr, again;

    set.count = 0;
    memcpy(list, bytes, len < sizeof list - 1 ? len : sizeof list - 1);
    if (cidr_parse(list, &cidr)) {
        MUST(strlen(cidr_format(&cidr, text)) < CIDR_TEXT_MAX);
        MUST(cidr_parse(text, &again) && cidr_equal(&cidr, &again));
        MUST(cidr_contains(&cidr, &cidr.host) || (cidr.bits < 96 && cidr_host_is_ipv4(&cidr.host)));
    }
    bool added = cidr_set_add_list(&set, list);
    MUST(set.count <= CIDR_SET_MAX && (!added || set.count > 0));
    for (unsigned i = 0; i < set.count; i++)
        MUST(cidr_set_contains(&set, &set.at[i].host) || cidr_host_is_ipv4(&set.at[i].host));
    while (set.count > 0) {
        cidr = set.at[0];
        MUST(cidr_set_remove(&set, &cidr) && !cidr_set_remove(&set, &cidr));
    }
    return 0;
}
