/* address.c - see address.h. */
#include "broker/base/address.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "broker/base/log/digits.h"

static const struct sockaddr_in *as_in(const struct address *address)
{
    return (const struct sockaddr_in *)&address->storage;
}

static const struct sockaddr_in6 *as_in6(const struct address *address)
{
    return (const struct sockaddr_in6 *)&address->storage;
}

static const struct sockaddr_un *as_un(const struct address *address)
{
    return (const struct sockaddr_un *)&address->storage;
}

static socklen_t un_length(const struct address *address)
{
    return address->len - (socklen_t)offsetof(struct sockaddr_un, sun_path);
}

/* Brought to one form, so that equal addresses have equal bytes: fields that do not name the socket
 * are cleared. */
static bool normalise(struct address *address)
{
    switch (address->storage.ss_family) {
    case AF_INET: {
        struct sockaddr_in *in = (struct sockaddr_in *)&address->storage;
        memset(in->sin_zero, 0, sizeof in->sin_zero);
        return address->len >= sizeof *in && (address->len = sizeof *in);
    }
    case AF_INET6: {
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&address->storage;
        if (address->len < offsetof(struct sockaddr_in6, sin6_scope_id))
            return false;
        if (address->len < sizeof *in6)
            in6->sin6_scope_id = 0;
        in6->sin6_flowinfo = 0;
        address->len = sizeof *in6;
        return true;
    }
    case AF_UNIX:
        return address->len > offsetof(struct sockaddr_un, sun_path) &&
               address->len <= sizeof(struct sockaddr_un);
    default: return false;
    }
}

bool address_from_wire(struct address *address, const struct wire_address *wire)
{
    memset(address, 0, sizeof *address);
    if (wire->len_bytes < sizeof(sa_family_t) || wire->len_bytes > WIRE_ADDRESS_MAX)
        return false;
    memcpy(&address->storage, wire->bytes, wire->len_bytes);
    address->len = wire->len_bytes;
    return normalise(address);
}

bool address_equal(const struct address *a, const struct address *b)
{
    return a->len == b->len && memcmp(&a->storage, &b->storage, a->len) == 0;
}

int address_port(const struct address *address)
{
    switch (address->storage.ss_family) {
    case AF_INET: return ntohs(as_in(address)->sin_port);
    case AF_INET6: return ntohs(as_in6(address)->sin6_port);
    default: return -1;
    }
}

bool address_is_any_host(const struct address *address)
{
    return address->storage.ss_family == AF_INET
               ? as_in(address)->sin_addr.s_addr == htonl(INADDR_ANY)
               : IN6_IS_ADDR_UNSPECIFIED(&as_in6(address)->sin6_addr);
}

bool address_overlaps(const struct address *a, const struct address *b)
{
    return address_port(a) > 0 && address_port(a) == address_port(b) &&
           (address_is_any_host(a) || address_is_any_host(b) || address_equal(a, b));
}

/* What the kernel connects to: any host is the loopback, ::ffff:a.b.c.d is a.b.c.d. */
static struct in6_addr destination(const struct address *address)
{
    struct in6_addr host = IN6ADDR_LOOPBACK_INIT;
    in_addr_t v4 = htonl(INADDR_LOOPBACK);

    if (address->storage.ss_family == AF_INET6) {
        if (!IN6_IS_ADDR_UNSPECIFIED(&as_in6(address)->sin6_addr))
            host = as_in6(address)->sin6_addr;
        if (!IN6_IS_ADDR_V4MAPPED(&host))
            return host;
        memcpy(&v4, &host.s6_addr[12], sizeof v4);
    } else if (as_in(address)->sin_addr.s_addr != htonl(INADDR_ANY)) {
        v4 = as_in(address)->sin_addr.s_addr;
    }
    memset(&host, 0, sizeof host);
    memset(&host.s6_addr[10], 0xff, 2);
    memcpy(&host.s6_addr[12], v4 ? &v4 : &(in_addr_t){htonl(INADDR_LOOPBACK)}, sizeof v4);
    return host;
}

bool address_reaches(const struct address *to, const struct address *bound, bool v6only)
{
    if (address_port(to) <= 0)
        return address_equal(to, bound);
    if (address_port(to) != address_port(bound))
        return false;
    struct in6_addr host = destination(to);
    struct in6_addr bound_host = destination(bound);
    bool is_v4 = IN6_IS_ADDR_V4MAPPED(&host);

    if (!address_is_any_host(bound))
        return IN6_ARE_ADDR_EQUAL(&host, &bound_host);
    return bound->storage.ss_family == AF_INET ? is_v4 : !(is_v4 && v6only);
}

bool address_has_port_zero(const struct address *address)
{
    return address_port(address) == 0;
}

bool address_is_wildcard_of(const struct address *a, const struct address *b)
{
    bool is_all =
        a->storage.ss_family == AF_INET
            ? as_in(a)->sin_addr.s_addr == INADDR_ANY
            : a->storage.ss_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&as_in6(a)->sin6_addr);
    bool may_be_of = a->storage.ss_family == AF_INET6 || b->storage.ss_family == AF_INET;

    return is_all && may_be_of && address_port(a) == address_port(b);
}

bool address_is_path(const struct address *address)
{
    return address->storage.ss_family == AF_UNIX && as_un(address)->sun_path[0] != '\0';
}

static void format_un(const struct address *address, char text[ADDRESS_TEXT_MAX])
{
    socklen_t len = un_length(address);
    bool abstract = !address_is_path(address);
    char *end = text + snprintf(text, ADDRESS_TEXT_MAX, abstract ? "unix:@" : "unix:");

    for (socklen_t i = abstract ? 1 : 0; i < len; i++) {
        char c = as_un(address)->sun_path[i];
        if (c == '\0' && !abstract)
            break;
        *end++ = isprint((unsigned char)c) ? c : '?';
    }
    *end = '\0';
}

/* Each connection is told so. */
static void format_in(const struct sockaddr_in *in, char *text)
{
    uint32_t host = ntohl(in->sin_addr.s_addr);

    for (int shift = 24; shift >= 0; shift -= 8) {
        text = digits_put(text, host >> shift & 255);
        *text++ = shift ? '.' : ':';
    }
    *digits_put(text, ntohs(in->sin_port)) = '\0';
}

const char *address_format(const struct address *address, char text[ADDRESS_TEXT_MAX])
{
    char host[INET6_ADDRSTRLEN];

    switch (address->storage.ss_family) {
    case AF_INET: format_in(as_in(address), text); break;
    case AF_INET6:
        inet_ntop(AF_INET6, &as_in6(address)->sin6_addr, host, sizeof host);
        snprintf(text, ADDRESS_TEXT_MAX, "[%s]:%d", host, address_port(address));
        break;
    case AF_UNIX: format_un(address, text); break;
    default: snprintf(text, ADDRESS_TEXT_MAX, "?"); break;
    }
    return text;
}

uint32_t address_hash_host(const struct sockaddr_storage *peer)
{
    const uint8_t *bytes = (const uint8_t *)&((const struct sockaddr_in *)peer)->sin_addr;
    size_t len = sizeof(struct in_addr);
    uint32_t hash = 2166136261u; /* FNV-1a */

    if (peer->ss_family == AF_INET6) {
        bytes = ((const struct sockaddr_in6 *)peer)->sin6_addr.s6_addr;
        len = sizeof(struct in6_addr);
    } else if (peer->ss_family != AF_INET) {
        len = 0;
    }
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ bytes[i]) * 16777619u;
    return hash;
}

static int parse_port(const char *text)
{
    char *end;
    long port = strtol(text, &end, 10);
    return isdigit((unsigned char)*text) && *end == '\0' && port <= 65535 ? (int)port : -1;
}

/* "HOST%ZONE" becomes "HOST". False: the zone is empty or too long for a device. */
static bool cut_zone(char *host, char zone[IFNAMSIZ])
{
    char *percent = strchr(host, '%');

    zone[0] = '\0';
    if (!percent)
        return true;
    *percent = '\0';
    size_t len = strlen(percent + 1);
    if (len == 0 || len >= IFNAMSIZ)
        return false;
    memcpy(zone, percent + 1, len + 1);
    return true;
}

/* "HOST:PORT" or "[HOST]:PORT" as an address; HOST may end in "%ZONE". */
static bool parse_host_port(const char *pattern, struct address *address, char zone[IFNAMSIZ])
{
    char host[INET6_ADDRSTRLEN + IFNAMSIZ + 3];
    const char *colon = strrchr(pattern, ':');
    size_t len = colon ? (size_t)(colon - pattern) : 0;
    int port = colon ? parse_port(colon + 1) : -1;

    if (port < 0 || len == 0 || len >= sizeof host)
        return false;
    memset(address, 0, sizeof *address);
    memcpy(host, pattern, len);
    host[len] = '\0';
    struct sockaddr_in *in = (struct sockaddr_in *)&address->storage;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&address->storage;
    if (host[0] == '[' && host[len - 1] == ']') {
        host[len - 1] = '\0';
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons((uint16_t)port);
        address->len = sizeof *in6;
        return cut_zone(host + 1, zone) && inet_pton(AF_INET6, host + 1, &in6->sin6_addr) == 1;
    }
    in->sin_family = AF_INET;
    in->sin_port = htons((uint16_t)port);
    address->len = sizeof *in;
    return cut_zone(host, zone) && inet_pton(AF_INET, host, &in->sin_addr) == 1;
}

static bool parse_path(const char *path, struct address *address)
{
    struct sockaddr_un *un = (struct sockaddr_un *)&address->storage;
    size_t len = strlen(path);

    if (len >= sizeof un->sun_path)
        return false;
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, path, len + 1);
    address->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
    return true;
}

bool address_parse(const char *text, struct address *address)
{
    char zone[IFNAMSIZ] = "";
    char loopback[32];

    memset(address, 0, sizeof *address);
    if (strncmp(text, "unix:/", 6) == 0)
        text += 5;
    if (text[0] == '/')
        return parse_path(text, address);
    snprintf(loopback, sizeof loopback, "127.0.0.1:%d", parse_port(text));
    return parse_host_port(parse_port(text) >= 0 ? loopback : text, address, zone) && !zone[0];
}

static bool matches_un(const struct address *address, const char *pattern)
{
    char text[ADDRESS_TEXT_MAX];
    const char *name = address_format(address, text) + strlen("unix:");
    const char *slash = strrchr(pattern, '/');

    if (strncmp(pattern, "unix:", 5) == 0)
        pattern += 5;
    return strcmp(name, pattern) == 0 ||
           (slash && address_is_path(address) && strcmp(name, slash + 1) == 0);
}

/* The scope is compared by the zone's name, where the pattern has one. */
static bool matches_host_port(const struct address *address, const char *zone, const char *pattern)
{
    struct address wanted;
    char wanted_zone[IFNAMSIZ];

    if (!parse_host_port(pattern, &wanted, wanted_zone))
        return false;
    if (wanted.storage.ss_family == AF_INET6 && address->storage.ss_family == AF_INET6)
        ((struct sockaddr_in6 *)&wanted.storage)->sin6_scope_id = as_in6(address)->sin6_scope_id;
    return address_equal(&wanted, address) && (!wanted_zone[0] || strcmp(wanted_zone, zone) == 0);
}

/* "8081+{id}" is "8081"; false: it does not end so. */
static bool cut_each(const char *pattern, char plain[ADDRESS_TEXT_MAX])
{
    size_t len = strlen(pattern);

    if (len >= ADDRESS_TEXT_MAX || len <= strlen(ADDRESS_EACH) ||
        strcmp(pattern + len - strlen(ADDRESS_EACH), ADDRESS_EACH) != 0)
        return false;
    memcpy(plain, pattern, len);
    plain[len - strlen(ADDRESS_EACH)] = '\0';
    return true;
}

/* "*:80" is "80". */
static const char *skip_any_host(const char *pattern)
{
    return strncmp(pattern, "*:", 2) == 0 ? pattern + 2 : pattern;
}

bool address_is_each(const char *pattern)
{
    struct address ignored;
    char zone[IFNAMSIZ];
    char plain[ADDRESS_TEXT_MAX];

    if (!cut_each(pattern, plain))
        return false;
    return parse_port(skip_any_host(plain)) > 0 ||
           (parse_host_port(plain, &ignored, zone) && address_port(&ignored) > 0);
}

void address_set_port(struct address *address, unsigned port)
{
    /* the port is in the same place for both */
    ((struct sockaddr_in *)&address->storage)->sin_port = htons((in_port_t)port);
}

bool address_add_to_port(struct address *address, unsigned number)
{
    int port = address_port(address);

    if (port < 0 || number > 65535u - (unsigned)port)
        return false;
    address_set_port(address, (unsigned)port + number);
    return true;
}

bool address_matches(const struct address *address, const char *zone, const char *pattern)
{
    char plain[ADDRESS_TEXT_MAX];

    if (cut_each(pattern, plain))
        pattern = plain;
    int port = parse_port(skip_any_host(pattern));

    if (strcmp(pattern, "all") == 0)
        return true;
    if (address->storage.ss_family == AF_UNIX)
        return matches_un(address, pattern);
    if (port >= 0)
        return port == address_port(address);
    return matches_host_port(address, zone, pattern);
}

bool address_is_pattern(const char *pattern)
{
    struct address ignored;
    char zone[IFNAMSIZ];

    return strcmp(pattern, "all") == 0 || strchr(pattern, '/') || pattern[0] == '@' ||
           strncmp(pattern, "unix:", 5) == 0 || parse_port(skip_any_host(pattern)) >= 0 ||
           parse_host_port(pattern, &ignored, zone);
}

bool address_is_pattern_of_zero(const char *pattern)
{
    struct address host;
    char zone[IFNAMSIZ];

    return parse_port(skip_any_host(pattern)) == 0 ||
           (parse_host_port(pattern, &host, zone) && address_port(&host) == 0);
}
