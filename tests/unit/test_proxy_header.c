/* test_proxy_header.c - broker/handout/front/proxy_header.c: each header split at every byte. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "broker/handout/front/proxy_header.h"
#include "unit.h"

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define IPV4_ENDS "\300\0\2\7\306\63\144\1\22\147\0\120" /* 192.0.2.7:4711 198.51.100.1:80 */
#define IPV6_ENDS                                                                                  \
    "\40\1\15\270\0\0\0\0\0\0\0\0\0\0\0\7\40\1\15\270\0\0\0\0\0\0\0\0\0\0\0\1\22\147\0\120"
#define UNIX_ENDS_LEN 216
#define B(literal) literal, sizeof(literal) - 1

static char text[2 * (INET6_ADDRSTRLEN + 10)];

static const char *end_text(const struct sockaddr_storage *end, char *into, size_t size)
{
    char host[INET6_ADDRSTRLEN] = "";
    const struct sockaddr_in *in = (const void *)end;
    const struct sockaddr_in6 *in6 = (const void *)end;

    inet_ntop(end->ss_family,
              end->ss_family == AF_INET ? (const void *)&in->sin_addr : &in6->sin6_addr, host,
              sizeof host);
    snprintf(into, size, "%s %u", host, ntohs(in->sin_port));
    return into;
}

/* "SOURCE PORT > DESTINATION PORT", or "own". */
static const char *ends_text(const struct proxy_header *header)
{
    char source[INET6_ADDRSTRLEN + 8], destination[INET6_ADDRSTRLEN + 8];

    if (!header->has_ends)
        return "own";
    snprintf(text, sizeof text, "%s > %s", end_text(&header->source, source, sizeof source),
             end_text(&header->destination, destination, sizeof destination));
    return text;
}

/* No prefix of it is a header, the whole is, and so it stays with data behind it. */
static void expect(const char *bytes, size_t len, enum config_accept_proxy version,
                   const char *ends)
{
    static uint8_t buffer[PROXY_HEADER_MAX + 64];
    struct proxy_header header;

    memset(buffer, 'x', sizeof buffer);
    memcpy(buffer, bytes, len);
    for (size_t seen = 0; seen < len; seen++) {
        CHECK(proxy_header_read(buffer, seen, version, &header) == PROXY_INCOMPLETE);
        CHECK(header.len > seen && header.len <= len);
    }
    for (size_t seen = len; seen < sizeof buffer && seen < len + 64; seen++) {
        CHECK(proxy_header_read(buffer, seen, version, &header) == PROXY_COMPLETE);
        CHECK(header.len == len);
        if (strcmp(ends_text(&header), ends) != 0)
            printf("# %s\n", ends_text(&header));
        CHECK(strcmp(ends_text(&header), ends) == 0);
    }
}

/* From some byte on it is none, and stays so. */
static void expect_invalid(const char *bytes, size_t len, enum config_accept_proxy version)
{
    struct proxy_header header;
    bool invalid = false;

    for (size_t seen = 0; seen <= len; seen++) {
        enum proxy_verdict verdict =
            proxy_header_read((const uint8_t *)bytes, seen, version, &header);
        CHECK(verdict != PROXY_COMPLETE);
        CHECK(!invalid || verdict == PROXY_INVALID);
        invalid = verdict == PROXY_INVALID;
    }
    if (!invalid)
        printf("# not refused: %s\n", bytes);
    CHECK(invalid && header.fault);
}

static void test_v1(void)
{
    static const char *const rows[][2] = {
        {"PROXY TCP4 192.0.2.7 198.51.100.1 4711 80\r\n", "192.0.2.7 4711 > 198.51.100.1 80"},
        {"PROXY TCP4 255.255.255.255 0.0.0.0 65535 0\r\n", "255.255.255.255 65535 > 0.0.0.0 0"},
        {"PROXY TCP6 2001:db8::7 ::1 4711 80\r\n", "2001:db8::7 4711 > ::1 80"},
        {"PROXY UNKNOWN\r\n", "own"},
        {"PROXY UNKNOWN what follows is ignored \r\n", "own"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i][1]) {
            expect(rows[i][0], strlen(rows[i][0]), ACCEPT_PROXY_V1, rows[i][1]);
            expect(rows[i][0], strlen(rows[i][0]), ACCEPT_PROXY_ANY, rows[i][1]);
            expect_invalid(rows[i][0], strlen(rows[i][0]), ACCEPT_PROXY_V2);
        }
    /* the longest lines that 2.1 gives: 56, 104 and 107 bytes */
    expect(B("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"), ACCEPT_PROXY_ANY,
           "255.255.255.255 65535 > 255.255.255.255 65535");
    expect(B("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
             "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
           ACCEPT_PROXY_ANY, "own");
    expect(B("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
             "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
           ACCEPT_PROXY_ANY,
           "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 > "
           "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535");
}

static void test_v1_invalid(void)
{
    static const char *const lines[] = {
        "PROXY TCP4 192.0.2.7 198.51.100.1 4711 80\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 4711 80 \r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 4711 80 81\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 4711\r\n",
        "PROXY TCP4 192.0.2.7  198.51.100.1 4711 80\r\n",
        "PROXY  TCP4 192.0.2.7 198.51.100.1 4711 80\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 4711 65536\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 04711 80\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 -1 80\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 0x50 80\r\n",
        "PROXY TCP4 192.0.2.07 198.51.100.1 4711 80\r\n",
        "PROXY TCP4 2001:db8::7 2001:db8::1 4711 80\r\n",
        "PROXY TCP6 192.0.2.7 198.51.100.1 4711 80\r\n",
        "PROXY UDP4 192.0.2.7 198.51.100.1 4711 80\r\n",
        "PROXY tcp4 192.0.2.7 198.51.100.1 4711 80\r\n",
        "PROXY UNKNOWNS\r\n",
        "PROXY \r\n",
        "PROXY TCP4\r\n",
        "proxy TCP4 192.0.2.7 198.51.100.1 4711 80\r\n",
        "GET / HTTP/1.1\r\n",
        "\n",
    };

    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        expect_invalid(lines[i], strlen(lines[i]), ACCEPT_PROXY_ANY);
    expect_invalid(B("PROXY TCP4 192.0.2.7\0 198.51.100.1 4711 80\r\n"), ACCEPT_PROXY_V1);
    expect_invalid(B("PROXY UNKNOWN one byte more than the hundred and seven that the longest line "
                     "may have with its end, CR LF.......\r\n"),
                   ACCEPT_PROXY_ANY);
}

static void test_v2(void)
{
    static char unix_ends[16 + UNIX_ENDS_LEN] = SIGNATURE "\x21\x31\0\xd8/a/client";

    expect(B(SIGNATURE "\x21\x11\0\x0c" IPV4_ENDS), ACCEPT_PROXY_V2,
           "192.0.2.7 4711 > 198.51.100.1 80");
    expect(B(SIGNATURE "\x21\x21\0\x24" IPV6_ENDS), ACCEPT_PROXY_ANY,
           "2001:db8::7 4711 > 2001:db8::1 80");
    expect(B(SIGNATURE "\x20\0\0\0"), ACCEPT_PROXY_V2, "own");
    expect(B(SIGNATURE "\x20\x11\0\x0c" IPV4_ENDS), ACCEPT_PROXY_V2, "own");
    expect(B(SIGNATURE "\x20\xff\0\x03"
                       "abc"),
           ACCEPT_PROXY_V2, "own");
    expect(B(SIGNATURE "\x21\0\0\0"), ACCEPT_PROXY_V2, "own");
    expect(B(SIGNATURE "\x21\x12\0\x0c" IPV4_ENDS), ACCEPT_PROXY_V2, "own");
    expect(unix_ends, sizeof unix_ends, ACCEPT_PROXY_V2, "own");
    expect_invalid(B(SIGNATURE "\x21\x11\0\x0c" IPV4_ENDS), ACCEPT_PROXY_V1);
}

static void test_v2_tlvs(void)
{
    /* ALPN "h2", a NOOP without a value, an unknown type */
    expect(B(SIGNATURE "\x21\x11\0\x18" IPV4_ENDS "\1\0\2h2"
                       "\4\0\0"
                       "\xee\0\1z"),
           ACCEPT_PROXY_ANY, "192.0.2.7 4711 > 198.51.100.1 80");
    expect(B(SIGNATURE "\x21\0\0\x05"
                       "\1\0\2h2"),
           ACCEPT_PROXY_ANY, "own");
    expect_invalid(B(SIGNATURE "\x21\x11\0\x0e" IPV4_ENDS "\1\0"), ACCEPT_PROXY_ANY);
    expect_invalid(B(SIGNATURE "\x21\x11\0\x11" IPV4_ENDS "\1\0\3h2"), ACCEPT_PROXY_ANY);
    expect_invalid(B(SIGNATURE "\x21\x11\0\x10" IPV4_ENDS "\3\0\1z"), ACCEPT_PROXY_ANY);
}

/* Castagnoli's polynomial bit by bit, most significant first: another way than the parser's. */
static uint32_t checksum(const uint8_t *bytes, size_t len)
{
    uint32_t crc = UINT32_MAX, reversed = 0;

    for (size_t bit = 0; bit < 8 * len; bit++) {
        unsigned in = bytes[bit / 8] >> bit % 8 & 1;
        crc = crc << 1 ^ ((crc >> 31 ^ in) ? 0x1edc6f41u : 0);
    }
    for (int i = 0; i < 32; i++)
        reversed |= (crc >> i & 1) << (31 - i);
    return ~reversed;
}

static void test_v2_checksum(void)
{
    static const char digits[] = "123456789";
    char bytes[] = SIGNATURE "\x21\x11\0\x16" IPV4_ENDS "\3\0\4\0\0\0\0"
                             "\4\0\0";
    size_t len = sizeof bytes - 1, at = 16 + 12 + 3;

    CHECK(checksum((const uint8_t *)digits, 9) == 0xe3069283u); /* the usual test value */
    uint32_t crc = htonl(checksum((const uint8_t *)bytes, len));
    memcpy(bytes + at, &crc, sizeof crc);
    expect(bytes, len, ACCEPT_PROXY_ANY, "192.0.2.7 4711 > 198.51.100.1 80");
    for (size_t i = 16; i < len; i++)
        if (i < 28 || (i >= at && i < at + 4)) {
            bytes[i] ^= 0x10;
            expect_invalid(bytes, len, ACCEPT_PROXY_ANY);
            bytes[i] ^= 0x10;
        }
}

static void test_v2_invalid(void)
{
    static char long_one[PROXY_HEADER_V2_MAX] = SIGNATURE "\x21\0\x0f\xf0"
                                                          "\xee\x0f\xed";

    expect_invalid(B(SIGNATURE "\x11\x11\0\x0c" IPV4_ENDS), ACCEPT_PROXY_ANY);
    expect_invalid(B(SIGNATURE "\x22\x11\0\x0c" IPV4_ENDS), ACCEPT_PROXY_ANY);
    expect_invalid(B(SIGNATURE "\x21\x41\0\x0c" IPV4_ENDS), ACCEPT_PROXY_ANY);
    expect_invalid(B(SIGNATURE "\x21\x13\0\x0c" IPV4_ENDS), ACCEPT_PROXY_ANY);
    expect_invalid(B(SIGNATURE "\x21\x11\0\x0b" IPV4_ENDS), ACCEPT_PROXY_ANY);
    expect_invalid(B(SIGNATURE "\x21\x21\0\x0c" IPV4_ENDS), ACCEPT_PROXY_ANY);
    expect_invalid(B("\r\n\r\n\0\r\nQUIT\r"), ACCEPT_PROXY_ANY);
    expect_invalid(B("\r\nHELO\r\n"), ACCEPT_PROXY_ANY);
    expect(long_one, sizeof long_one, ACCEPT_PROXY_ANY, "own");
    long_one[15] = '\xf1';
    expect_invalid(long_one, sizeof long_one, ACCEPT_PROXY_ANY);
}

int main(void)
{
    unit_run("version 1, split at every byte", test_v1);
    unit_run("lines that are none are refused at any split", test_v1_invalid);
    unit_run("version 2, split at every byte", test_v2);
    unit_run("TLVs are stepped over, and must fit", test_v2_tlvs);
    unit_run("a checksum is checked over the whole header", test_v2_checksum);
    unit_run("other versions, families and lengths are refused", test_v2_invalid);
    return unit_end();
}
