/* test_address.c - broker/base/address.c: normal forms, texts, patterns. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/un.h>

#include "broker/base/address.h"
#include "unit.h"

static struct wire_address wire;

static struct address parse(const void *bytes, size_t len)
{
    struct address address = {0};

    wire.len_bytes = (uint32_t)len;
    memset(wire.bytes, 0xee, sizeof wire.bytes);
    memcpy(wire.bytes, bytes, len);
    CHECK(address_from_wire(&address, &wire));
    return address;
}

static struct address ipv4(const char *host, unsigned port)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((in_port_t)port)};

    inet_pton(AF_INET, host, &in.sin_addr);
    memset(in.sin_zero, 0x55, sizeof in.sin_zero); /* must not matter */
    return parse(&in, sizeof in);
}

static struct address ipv6(const char *host, unsigned port, size_t len)
{
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons((in_port_t)port)};

    in6.sin6_flowinfo = 77; /* must not matter */
    inet_pton(AF_INET6, host, &in6.sin6_addr);
    return parse(&in6, len);
}

static struct address un(const char *name, size_t len)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};

    memcpy(un.sun_path, name, len);
    return parse(&un, offsetof(struct sockaddr_un, sun_path) + len);
}

static bool reads(struct address address, const char *text)
{
    char got[ADDRESS_TEXT_MAX];
    bool same = strcmp(address_format(&address, got), text) == 0;

    if (!same)
        printf("# got %s\n", got);
    return same;
}

static bool matches(struct address address, const char *pattern)
{
    return address_matches(&address, "", pattern);
}

static bool matches_on(const char *zone, struct address address, const char *pattern)
{
    return address_matches(&address, zone, pattern);
}

static void a_device_is_matched_by_name(void)
{
    struct address any = ipv4("0.0.0.0", 80);
    struct address local = ipv6("fe80::1", 80, sizeof(struct sockaddr_in6));

    CHECK(matches_on("eth0", any, "0.0.0.0%eth0:80"));
    CHECK(!matches_on("eth1", any, "0.0.0.0%eth0:80"));
    CHECK(!matches_on("", any, "0.0.0.0%eth0:80"));
    CHECK(matches_on("eth0", any, "0.0.0.0:80"));
    CHECK(matches_on("eth0", any, "80"));
    CHECK(!matches_on("eth0", any, "0.0.0.0%eth0:81"));
    ((struct sockaddr_in6 *)&local.storage)->sin6_scope_id = 7;
    CHECK(matches_on("eth0", local, "[fe80::1%eth0]:80"));
    CHECK(!matches_on("eth1", local, "[fe80::1%eth0]:80"));
    CHECK(matches_on("eth0", local, "[fe80::1]:80"));
    CHECK(address_is_pattern("[fe80::1%eth0]:80"));
    CHECK(!address_is_pattern("[fe80::1%]:80"));
    CHECK(!address_is_pattern("0.0.0.0%a-name-that-no-device-has:80"));
}

static void is_formatted(void)
{
    CHECK(reads(ipv4("127.0.0.1", 80), "127.0.0.1:80"));
    CHECK(reads(ipv4("0.0.0.0", 65535), "0.0.0.0:65535"));
    CHECK(reads(ipv6("::1", 8080, sizeof(struct sockaddr_in6)), "[::1]:8080"));
    CHECK(reads(un("/run/a.sock", 12), "unix:/run/a.sock"));
    CHECK(reads(un("\0name", 5), "unix:@name"));
    CHECK(reads(un("\0a\0b\n", 5), "unix:@a?b?"));
}

static void longest_names_fit(void)
{
    char name[108];

    memset(name, 'n', sizeof name);
    CHECK(reads(
        un(name, sizeof name),
        "unix:nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"
        "nnnnnnnnnnnnnnnnnnnnnnnnnnnn"));
}

static void equal_addresses_are_equal(void)
{
    struct address a = ipv4("10.0.0.1", 80);
    struct sockaddr_in plain = {.sin_family = AF_INET, .sin_port = htons(80)};

    inet_pton(AF_INET, "10.0.0.1", &plain.sin_addr);
    struct address b = parse(&plain, sizeof plain);
    CHECK(address_equal(&a, &b));
    b = ipv4("10.0.0.1", 81);
    CHECK(!address_equal(&a, &b));
    a = ipv6("::1", 80, sizeof(struct sockaddr_in6));
    b = ipv6("::1", 80, offsetof(struct sockaddr_in6, sin6_scope_id)); /* RFC 2553 */
    CHECK(address_equal(&a, &b));
    a = un("\0x", 2);
    b = un("\0x\0", 3);
    CHECK(!address_equal(&a, &b));
}

static void bad_lengths_are_refused(void)
{
    struct address address;
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_un path = {.sun_family = AF_UNIX};

    memcpy(wire.bytes, &in, sizeof in);
    for (uint32_t len = 0; len < sizeof in; len++) {
        wire.len_bytes = len;
        CHECK(!address_from_wire(&address, &wire));
    }
    memcpy(wire.bytes, &path, sizeof path);
    wire.len_bytes = sizeof(sa_family_t); /* autobind */
    CHECK(!address_from_wire(&address, &wire));
    wire.len_bytes = sizeof path + 1;
    CHECK(!address_from_wire(&address, &wire));
    wire.len_bytes = WIRE_ADDRESS_MAX + 1;
    CHECK(!address_from_wire(&address, &wire));
    in.sin_family = AF_NETLINK;
    memcpy(wire.bytes, &in, sizeof in);
    wire.len_bytes = sizeof in;
    CHECK(!address_from_wire(&address, &wire));
}

static void kinds_are_known(void)
{
    struct address address = ipv4("1.2.3.4", 0);

    CHECK(address_has_port_zero(&address) && !address_is_path(&address));
    address = un("/x", 2);
    CHECK(address_is_path(&address) && !address_has_port_zero(&address));
    address = un("\0x", 2);
    CHECK(!address_is_path(&address));
}

static void patterns_match(void)
{
    struct address four = ipv4("127.0.0.1", 80);
    struct address six = ipv6("::1", 80, sizeof(struct sockaddr_in6));

    CHECK(matches(four, "80") && matches(six, "80") && matches(four, "*:80"));
    CHECK(matches(four, "127.0.0.1:80") && !matches(six, "127.0.0.1:80"));
    CHECK(matches(six, "[::1]:80") && !matches(four, "[::1]:80"));
    CHECK(!matches(four, "81") && !matches(four, "127.0.0.2:80") && !matches(four, "8"));
    CHECK(matches(four, "all") && matches(six, "all") && matches(un("/x", 2), "all"));
    CHECK(matches(un("/run/a.sock", 11), "/run/a.sock"));
    CHECK(matches(un("a.sock", 6), "/run/a.sock")); /* the broker knows the last component only */
    CHECK(!matches(un("/run/b.sock", 11), "/run/a.sock"));
    CHECK(matches(un("\0name", 5), "@name") && !matches(un("name", 4), "@name"));
    CHECK(!matches(un("80", 2), "80x"));
}

static void nonsense_is_no_pattern(void)
{
    const char *const good[] = {"all", "0",   "65535", "*:80",     "1.2.3.4:5", "[::]:80",
                                "/x",  "a/b", "@name", "unix:abc", "[::1]:1",   "0.0.0.0:0"};
    const char *const bad[] = {
        "",   "65536",    "-1",        "80x",   "1.2.3.4", "host:80", "[::1]",         ":80",
        "*:", "1.2.3.4:", "1.2.3.4:x", "[]:80", "[1.2]:1", "::1:80",  "1.2.3.4:65536", " 80",
        "80 "};

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        CHECK(address_is_pattern(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (address_is_pattern(bad[i]))
            printf("# '%s' is taken for a pattern\n", bad[i]);
        CHECK(!address_is_pattern(bad[i]));
    }
}

static void hosts_hash_without_ports(void)
{
    struct sockaddr_storage a = ipv4("10.1.2.3", 1).storage;
    struct sockaddr_storage b = ipv4("10.1.2.3", 2).storage;
    struct sockaddr_storage c = ipv4("10.1.2.4", 1).storage;
    struct sockaddr_storage path = un("/x", 2).storage;

    CHECK(address_hash_host(&a) == address_hash_host(&b));
    CHECK(address_hash_host(&a) != address_hash_host(&c));
    CHECK(address_hash_host(&path) == address_hash_host(&path));
}

static void a_connect_reaches(void)
{
    struct address any4 = ipv4("0.0.0.0", 80);
    struct address any6 = ipv6("::", 80, sizeof(struct sockaddr_in6));
    struct address local4 = ipv4("127.0.0.1", 80);
    struct address other4 = ipv4("127.0.0.2", 80);
    struct address local6 = ipv6("::1", 80, sizeof(struct sockaddr_in6));
    struct address mapped = ipv6("::ffff:127.0.0.1", 80, sizeof(struct sockaddr_in6));
    struct address port4 = ipv4("127.0.0.1", 81);

    CHECK(address_reaches(&local4, &local4, false));
    CHECK(address_reaches(&local4, &any4, false));
    CHECK(address_reaches(&other4, &any4, false));
    CHECK(address_reaches(&any4, &local4, false)); /* connect(0.0.0.0) is to the loopback */
    CHECK(address_reaches(&any6, &local6, false));
    CHECK(address_reaches(&mapped, &local4, false));
    CHECK(address_reaches(&local4, &mapped, false));
    CHECK(address_reaches(&mapped, &any4, false));
    CHECK(address_reaches(&local4, &any6, false));
    CHECK(address_reaches(&local6, &any6, true));
    CHECK(!address_reaches(&local4, &any6, true));
    CHECK(!address_reaches(&mapped, &any6, true));
    CHECK(!address_reaches(&local6, &any4, false));
    CHECK(!address_reaches(&local4, &other4, false));
    CHECK(!address_reaches(&any4, &other4, false));
    CHECK(!address_reaches(&port4, &local4, false));
    CHECK(!address_reaches(&port4, &any4, false));
}

int main(void)
{
    unit_run("address: a connect reaches what the kernel says", a_connect_reaches);
    unit_run("a device is matched by its name, or by no name at all", a_device_is_matched_by_name);
    unit_run("address: it is written as a person would", is_formatted);
    unit_run("address: the longest path fits its text", longest_names_fit);
    unit_run("address: equal ones are equal whatever the padding", equal_addresses_are_equal);
    unit_run("address: lengths and families that do not fit are refused", bad_lengths_are_refused);
    unit_run("address: port 0 and paths are recognised", kinds_are_known);
    unit_run("address: patterns match what they say and nothing else", patterns_match);
    unit_run("address: nonsense is no pattern", nonsense_is_no_pattern);
    unit_run("address: a host's hash does not depend on the port", hosts_hash_without_ports);
    return unit_end();
}
