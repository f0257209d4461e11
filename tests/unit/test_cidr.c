/* test_cidr.c - broker/base/cidr.c: texts, networks, sets. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "broker/base/cidr.h"
#include "unit.h"

static struct cidr_host host(const char *text)
{
    struct cidr cidr = {0};

    CHECK(cidr_parse(text, &cidr) && cidr.bits == 128);
    return cidr.host;
}

static bool contains(const char *network, const char *text)
{
    struct cidr cidr = {0};
    struct cidr_host of = host(text);

    CHECK(cidr_parse(network, &cidr));
    return cidr_contains(&cidr, &of);
}

static void test_texts(void)
{
    static const struct {
        const char *text, *normal;
    } rows[] = {
        {"192.0.2.7", "192.0.2.7"},
        {"192.0.2.7/32", "192.0.2.7"},
        {"192.0.2.7/24", "192.0.2.0/24"},
        {"10.255.255.255/9", "10.128.0.0/9"},
        {"0.0.0.0/0", "0.0.0.0/0"},
        {"::/0", "::/0"},
        {"::1", "::1"},
        {"2001:db8:1:2:3::/64", "2001:db8:1:2::/64"},
        {"2001:db8::ffff/127", "2001:db8::fffe/127"},
        {"::ffff:192.0.2.7", "192.0.2.7"},
        {"::ffff:192.0.2.7/104", "192.0.0.0/8"},
        {"::ffff:0:0/95", "::fffe:0:0/95"},
    };
    char text[CIDR_TEXT_MAX];

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct cidr cidr = {0}, again = {0};
        CHECK(cidr_parse(rows[i].text, &cidr));
        cidr_format(&cidr, text);
        if (strcmp(text, rows[i].normal) != 0)
            printf("# %s: %s\n", rows[i].text, text);
        CHECK(strcmp(text, rows[i].normal) == 0);
        CHECK(cidr_parse(text, &again) && cidr_equal(&cidr, &again));
    }
}

static void test_no_texts(void)
{
    static const char *const texts[] = {
        "",          "/",           "/8",          "10",
        "10.0.0/8",  "10.0.0.0/",   "10.0.0.0/33", "10.0.0.0/-1",
        "::/129",    "10.0.0.0/8 ", " 10.0.0.0",   "10.0.0.0/8/8",
        "localhost", "10.0.0.0/+8", "fe80::1%lo",  "1111:2222:3333:4444:5555:6666:7777:8888:9999:1",
    };
    struct cidr cidr;

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        CHECK(!cidr_parse(texts[i], &cidr));
}

static void test_every_length(void)
{
    struct cidr_host all, one;
    char text[CIDR_TEXT_MAX];

    memset(&all, 0xff, sizeof all);
    for (unsigned bits = 0; bits <= 128; bits++) {
        struct cidr cidr = cidr_of_host(&all, 32, bits);
        CHECK(cidr_contains(&cidr, &all));
        for (unsigned flip = 0; flip < 128; flip++) {
            one = all;
            one.bytes[flip / 8] ^= (uint8_t)(0x80 >> flip % 8);
            CHECK(cidr_contains(&cidr, &one) == (flip >= bits));
        }
        struct cidr again = {0};
        CHECK(cidr_parse(cidr_format(&cidr, text), &again) && cidr_equal(&cidr, &again));
    }
}

static void test_families(void)
{
    CHECK(contains("10.0.0.0/8", "10.9.8.7"));
    CHECK(contains("10.0.0.0/8", "::ffff:10.9.8.7"));
    CHECK(contains("::ffff:10.0.0.0/104", "10.9.8.7"));
    CHECK(!contains("10.0.0.0/8", "11.0.0.0"));
    CHECK(contains("0.0.0.0/0", "192.0.2.1"));
    CHECK(!contains("0.0.0.0/0", "2001:db8::1"));
    CHECK(contains("::/0", "2001:db8::1"));
    CHECK(!contains("::/0", "192.0.2.1"));
}

static void test_sockets(void)
{
    struct sockaddr_storage storage = {.ss_family = AF_INET};
    struct cidr_host of;

    inet_pton(AF_INET, "192.0.2.9", &((struct sockaddr_in *)&storage)->sin_addr);
    CHECK(cidr_host_of(&storage, &of) && cidr_host_is_ipv4(&of));
    struct cidr cidr = cidr_of_host(&of, 24, 64), same = {0};
    CHECK(cidr_parse("192.0.2.0/24", &same) && cidr_equal(&cidr, &same));

    storage = (struct sockaddr_storage){.ss_family = AF_INET6};
    inet_pton(AF_INET6, "2001:db8::9", &((struct sockaddr_in6 *)&storage)->sin6_addr);
    CHECK(cidr_host_of(&storage, &of) && !cidr_host_is_ipv4(&of));
    cidr = cidr_of_host(&of, 24, 64);
    CHECK(cidr_parse("2001:db8::/64", &same) && cidr_equal(&cidr, &same));

    storage.ss_family = AF_UNIX;
    CHECK(!cidr_host_of(&storage, &of));
}

static void test_sets(void)
{
    static struct cidr_set set;
    struct cidr_host inside = host("192.0.2.1"), outside = host("192.0.3.1");
    struct cidr cidr = {0};
    char text[32];

    CHECK(!cidr_set_contains(&set, &inside));
    CHECK(cidr_set_add_list(&set, "10.0.0.0/8,192.0.2.0/24,2001:db8::/32"));
    CHECK(set.count == 3);
    CHECK(cidr_set_contains(&set, &inside) && !cidr_set_contains(&set, &outside));
    CHECK(cidr_set_add_list(&set, "192.0.2.255/24") && set.count == 3);
    CHECK(!cidr_set_add_list(&set, "") && !cidr_set_add_list(&set, "10.1.0.0/16,") &&
          !cidr_set_add_list(&set, "nobody"));
    CHECK(cidr_parse("192.0.2.0/24", &cidr) && cidr_set_remove(&set, &cidr));
    CHECK(!cidr_set_remove(&set, &cidr) && !cidr_set_contains(&set, &inside));
    for (unsigned i = 0; set.count < CIDR_SET_MAX; i++) {
        snprintf(text, sizeof text, "172.16.%u.%u", i / 256, i % 256);
        CHECK(cidr_set_add_list(&set, text));
    }
    CHECK(!cidr_set_add_list(&set, "198.51.100.1"));
}

int main(void)
{
    unit_run("texts come back in one form", test_texts);
    unit_run("what is no network is refused", test_no_texts);
    unit_run("a prefix of every length decides by its bits alone", test_every_length);
    unit_run("IPv4 and IPv6 are told apart, mapped addresses are IPv4", test_families);
    unit_run("addresses of sockets become hosts", test_sockets);
    unit_run("a set is filled, searched, emptied, and bounded", test_sets);
    return unit_end();
}
