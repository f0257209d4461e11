/* cidr.c - see cidr.h. */
#include "broker/base/cidr.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "broker/base/options/parse.h"

#define BITS_MAPPED 96u /* in front of an address of IPv4 */

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

static void map_ipv4(const struct in_addr *ipv4, struct cidr_host *host)
{
    memcpy(host->bytes, mapped, sizeof mapped);
    memcpy(host->bytes + sizeof mapped, ipv4, sizeof *ipv4);
}

bool cidr_host_of(const struct sockaddr_storage *address, struct cidr_host *host)
{
    if (address->ss_family == AF_INET) {
        map_ipv4(&((const struct sockaddr_in *)address)->sin_addr, host);
        return true;
    }
    if (address->ss_family != AF_INET6)
        return false;
    memcpy(host->bytes, &((const struct sockaddr_in6 *)address)->sin6_addr, sizeof host->bytes);
    return true;
}

bool cidr_host_is_ipv4(const struct cidr_host *host)
{
    return memcmp(host->bytes, mapped, sizeof mapped) == 0;
}

static void clear_behind(struct cidr_host *host, unsigned bits)
{
    for (unsigned i = 0; i < sizeof host->bytes; i++) {
        unsigned kept = bits > 8 * i ? bits - 8 * i : 0;
        if (kept < 8)
            host->bytes[i] &= (uint8_t)(0xff00 >> kept);
    }
}

struct cidr cidr_of_host(const struct cidr_host *host, unsigned bits_ipv4, unsigned bits_ipv6)
{
    unsigned bits = cidr_host_is_ipv4(host) ? BITS_MAPPED + bits_ipv4 : bits_ipv6;
    struct cidr cidr = {.host = *host, .bits = (uint8_t)bits};

    clear_behind(&cidr.host, bits);
    return cidr;
}

bool cidr_parse(const char *text, struct cidr *cidr)
{
    char address[INET6_ADDRSTRLEN];
    const char *slash = strchrnul(text, '/');
    size_t len = (size_t)(slash - text);
    struct in_addr ipv4;
    unsigned bits;

    if (len >= sizeof address)
        return false;
    memcpy(address, text, len);
    address[len] = '\0';
    bool is_ipv4 = inet_pton(AF_INET, address, &ipv4) == 1;
    if (is_ipv4)
        map_ipv4(&ipv4, &cidr->host);
    else if (inet_pton(AF_INET6, address, cidr->host.bytes) != 1)
        return false;
    bits = is_ipv4 ? 32 : 128;
    if (*slash && !option_parse_number(slash + 1, 0, bits, &bits))
        return false;
    cidr->bits = (uint8_t)(is_ipv4 ? BITS_MAPPED + bits : bits);
    clear_behind(&cidr->host, cidr->bits);
    return true;
}

const char *cidr_format(const struct cidr *cidr, char text[CIDR_TEXT_MAX])
{
    bool is_ipv4 = cidr->bits >= BITS_MAPPED && cidr_host_is_ipv4(&cidr->host);
    const uint8_t *bytes = cidr->host.bytes + (is_ipv4 ? sizeof mapped : 0);

    inet_ntop(is_ipv4 ? AF_INET : AF_INET6, bytes, text, CIDR_TEXT_MAX);
    if (cidr->bits < 128) {
        size_t len = strlen(text);
        snprintf(text + len, CIDR_TEXT_MAX - len, "/%u", cidr->bits - (is_ipv4 ? BITS_MAPPED : 0u));
    }
    return text;
}

bool cidr_equal(const struct cidr *a, const struct cidr *b)
{
    return a->bits == b->bits && memcmp(&a->host, &b->host, sizeof a->host) == 0;
}

bool cidr_contains(const struct cidr *cidr, const struct cidr_host *host)
{
    struct cidr_host network = *host;

    if (cidr->bits < BITS_MAPPED && cidr_host_is_ipv4(host))
        return false;
    clear_behind(&network, cidr->bits);
    return memcmp(&network, &cidr->host, sizeof network) == 0;
}

bool cidr_set_contains(const struct cidr_set *set, const struct cidr_host *host)
{
    for (unsigned i = 0; i < set->count; i++)
        if (cidr_contains(&set->at[i], host))
            return true;
    return false;
}

static unsigned find(const struct cidr_set *set, const struct cidr *cidr)
{
    unsigned i = 0;

    while (i < set->count && !cidr_equal(&set->at[i], cidr))
        i++;
    return i;
}

bool cidr_set_add(struct cidr_set *set, const struct cidr *cidr)
{
    if (find(set, cidr) < set->count)
        return true;
    if (set->count == CIDR_SET_MAX)
        return false;
    set->at[set->count++] = *cidr;
    return true;
}

bool cidr_set_remove(struct cidr_set *set, const struct cidr *cidr)
{
    unsigned i = find(set, cidr);

    if (i == set->count)
        return false;
    set->at[i] = set->at[--set->count];
    return true;
}

bool cidr_set_add_list(struct cidr_set *set, const char *list)
{
    for (;;) {
        char text[CIDR_TEXT_MAX];
        struct cidr cidr;
        size_t len = strcspn(list, ",");

        if (len >= sizeof text)
            return false;
        memcpy(text, list, len);
        text[len] = '\0';
        if (!cidr_parse(text, &cidr) || !cidr_set_add(set, &cidr))
            return false;
        if (!list[len])
            return true;
        list += len + 1;
    }
}
