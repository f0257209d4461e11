/* test_sources.c - broker/handout/front/sources.c: rates, open connections, floods of addresses. */
#include <stdio.h>
#include <string.h>

#include "broker/handout/front/sources.h"
#include "unit.h"

static int64_t clock_us;
static uint64_t asked, closed_below; /* cookies below it are of closed connections */
static int64_t ask_costs_us;

static int64_t now_us(void)
{
    return clock_us;
}

static bool is_open(const struct sock_diag_key *key)
{
    asked++;
    clock_us += ask_costs_us;
    return key->cookie >= closed_below;
}

static void begin(struct sources_limits limits)
{
    limits.is_open = is_open;
    limits.now_us = now_us;
    if (limits.bits_ipv4 == 0) {
        limits.bits_ipv4 = 32;
        limits.bits_ipv6 = 64;
    }
    clock_us = 1000000;
    asked = closed_below = 0;
    ask_costs_us = 0;
    CHECK(sources_init(&limits));
}

static struct cidr_host host(const char *text)
{
    struct cidr cidr = {0};

    CHECK(cidr_parse(text, &cidr));
    return cidr.host;
}

static uint64_t cookie;

static bool takes(const char *text)
{
    struct cidr_host of = host(text);
    struct sock_diag_key key = {.cookie = ++cookie};

    return !sources_refuse(&of, &key);
}

static void test_rate(void)
{
    begin((struct sources_limits){.rate = 5, .rate_s = 1});
    for (int i = 0; i < 5; i++)
        CHECK(takes("192.0.2.1"));
    CHECK(!takes("192.0.2.1"));
    CHECK(takes("192.0.2.2"));
    clock_us += 199000;
    CHECK(!takes("192.0.2.1"));
    clock_us += 1000;
    CHECK(takes("192.0.2.1") && !takes("192.0.2.1"));
    clock_us += 60000000; /* no more than a full bucket gathers */
    for (int i = 0; i < 5; i++)
        CHECK(takes("192.0.2.1"));
    CHECK(!takes("192.0.2.1"));
}

static void test_penalty(void)
{
    begin((struct sources_limits){.rate = 1, .rate_s = 1, .penalty_s = 10});
    CHECK(takes("192.0.2.1") && !takes("192.0.2.1"));
    clock_us += 9000000;
    CHECK(!takes("192.0.2.1")); /* and it does not begin anew */
    clock_us += 1000000;
    CHECK(takes("192.0.2.1"));
}

static void test_prefix(void)
{
    begin((struct sources_limits){.rate = 1, .rate_s = 1, .bits_ipv4 = 24, .bits_ipv6 = 64});
    CHECK(takes("192.0.2.1") && !takes("192.0.2.77") && takes("192.0.3.77"));
    CHECK(takes("2001:db8::1") && !takes("2001:db8::2:3:4:5") && takes("2001:db8:0:1::1"));
}

static void test_open(void)
{
    begin((struct sources_limits){.conns = 3});
    uint64_t before = cookie;
    for (int i = 0; i < 3; i++)
        CHECK(takes("192.0.2.1"));
    CHECK(asked == 0 && !takes("192.0.2.1") && asked == 3);
    CHECK(takes("192.0.2.2"));
    closed_below = before + 3; /* the first two */
    asked = 0;
    clock_us += 1000;
    CHECK(takes("192.0.2.1") && asked == 1);
    CHECK(takes("192.0.2.1") && asked == 2);
    CHECK(!takes("192.0.2.1"));
    closed_below = UINT64_MAX;
    for (int i = 0; i < 1000000; i++) /* places come back */
        if (!takes("192.0.2.1"))
            CHECK(false);
}

/* Looks in vain may take a tenth of the time. */
static void test_looks_are_bounded(void)
{
    begin((struct sources_limits){.conns = 100});
    ask_costs_us = 2;
    for (int i = 0; i < 100; i++)
        CHECK(takes("192.0.2.1"));
    int64_t began_us = clock_us;
    for (int i = 0; i < 100000; i++) {
        CHECK(!takes("192.0.2.1"));
        clock_us += 3;
    }
    CHECK((int64_t)asked * ask_costs_us <= (clock_us - began_us) / 10 + 200);
    CHECK(asked > 1000);
}

static void test_flood(void)
{
    char text[32];

    begin((struct sources_limits){.conns = 2, .rate = 1000, .rate_s = 1, .penalty_s = 3600});
    CHECK(takes("192.0.2.1") && takes("192.0.2.1") && !takes("192.0.2.1")); /* punished */
    closed_below = UINT64_MAX;
    for (unsigned i = 0; i < 1000000; i++) {
        snprintf(text, sizeof text, "10.%u.%u.%u", i >> 16, i >> 8 & 255, i & 255);
        clock_us += 10;
        CHECK(takes(text));
    }
    closed_below = 0;
    CHECK(takes("198.51.100.1") && takes("198.51.100.1") && !takes("198.51.100.1"));
}

int main(void)
{
    unit_run("a rate lets a burst of its own size pass", test_rate);
    unit_run("a penalty lasts, and is not made longer by trying", test_penalty);
    unit_run("a network is one source", test_prefix);
    unit_run("closed connections are found when a limit is reached", test_open);
    unit_run("looks in vain take a tenth of the time at most", test_looks_are_bounded);
    unit_run("a flood of addresses is survived, and new sources are limited after it", test_flood);
    return unit_end();
}
