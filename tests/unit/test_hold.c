/* test_hold.c - broker/handout/front/hold.c: each request is split at every byte. */
#include "broker/handout/front/hold.h"

#include <string.h>

#include "unit.h"

/* Complete from that byte on, and never before. */
static bool completes_at(enum config_hold kind, const void *bytes, size_t len, size_t first)
{
    for (size_t n = 0; n <= len; n++)
        if (hold_is_complete(kind, bytes, n) != (n >= first)) {
            printf("# of %zu bytes %zu are %scomplete, expected from %zu on\n", len, n,
                   n >= first ? "not " : "", first);
            return false;
        }
    return true;
}

#define COMPLETES(kind, whole, rest)                                                               \
    CHECK(completes_at(kind, whole rest, sizeof whole rest - 1, sizeof whole - 1))

static void data_and_lines(void)
{
    COMPLETES(HOLD_DATA, "x", "yz\n");
    COMPLETES(HOLD_DATA, "\0", "\0");
    COMPLETES(HOLD_LINE, "EHLO a\r\n", "MAIL FROM:<>\r\n");
    COMPLETES(HOLD_LINE, "\n", "x");
    CHECK(!hold_is_complete(HOLD_LINE, (const uint8_t *)"no end", 6));
    CHECK(!hold_is_complete(HOLD_LINE, (const uint8_t *)"", 0));
}

static void http_heads(void)
{
    COMPLETES(HOLD_HTTP, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "body");
    COMPLETES(HOLD_HTTP, "GET / HTTP/1.1\nHost: a\n\n", "\n");
    COMPLETES(HOLD_HTTP, "GET / HTTP/1.1\r\nHost: a\n\r\n", "");
    COMPLETES(HOLD_HTTP, "GET / HTTP/1.1\nHost: a\r\n\n", "");
    COMPLETES(HOLD_HTTP, "GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.0\r\n\r\n");
    COMPLETES(HOLD_HTTP, "\r\n\r\n\nPOST /a?b=c HTTP/1.1\r\nA: b\r\n folded: c\r\n\r\n", "x");
    COMPLETES(HOLD_HTTP, "PRI * HTTP/2.0\r\n\r\n", "SM\r\n\r\n");
    COMPLETES(HOLD_HTTP, "M-SEARCH * HTTP/1.1\r\nA: \r\rb\r\n\r\n", "");
    COMPLETES(HOLD_HTTP, "CONNECT a:443 HTTP/1.1\r\n\r\n", "\x16\x03");
}

/* At the first byte that shows it. */
static void no_http(void)
{
    COMPLETES(HOLD_HTTP, "\x16", "\x03\x01\x02\x00");
    COMPLETES(HOLD_HTTP, "\0", "x");
    COMPLETES(HOLD_HTTP, " ", "GET / HTTP/1.1\r\n\r\n");
    COMPLETES(HOLD_HTTP, "GET\t", "/ HTTP/1.1\r\n\r\n");
    COMPLETES(HOLD_HTTP, "SSH-2.0-OpenSSH_9.2\r", "\n");
    COMPLETES(HOLD_HTTP, "GET /0.9\r\n", "");
    COMPLETES(HOLD_HTTP, "GET /\n", "Host: a\n\n");
    COMPLETES(HOLD_HTTP, "\r\n\rX", "GET / HTTP/1.1\r\n\r\n");
}

static void clients_hellos(void)
{
    /* one record; a second record behind it */
    COMPLETES(HOLD_TLS, "\x16\x03\x01\x00\x08\x01\x00\x00\x04\x03\x03zz", "\x16\x03\x03");
    /* the message is in three records, the head in two */
    COMPLETES(HOLD_TLS,
              "\x16\x03\x01\x00\x02\x01\x00\x16\x03\x01\x00\x03\x00\x03\x03\x16\x03\x03\x00\x02"
              "ab",
              "");
    /* an empty message; a record with more in it */
    COMPLETES(HOLD_TLS, "\x16\x03\x00\x00\x04\x01\x00\x00\x00", "");
    COMPLETES(HOLD_TLS, "\x16\x03\x01\x00\x06\x01\x00\x00\x01x", "y");
}

static void no_tls(void)
{
    COMPLETES(HOLD_TLS, "G", "ET / HTTP/1.1\r\n\r\n");
    COMPLETES(HOLD_TLS, "\x80", "\x2e\x01\x03\x01");                           /* SSL 2.0 */
    COMPLETES(HOLD_TLS, "\x16\x02", "\x01\x00\x08");                           /* no version */
    COMPLETES(HOLD_TLS, "\x16\x03\x01\x00\x00", "\x16\x03\x01");               /* empty record */
    COMPLETES(HOLD_TLS, "\x16\x03\x01\x40\x01", "\x01");                       /* too long */
    COMPLETES(HOLD_TLS, "\x16\x03\x01\x00\x08\x02", "\x00\x00\x04\x03\x03zz"); /* server's */
    COMPLETES(HOLD_TLS, "\x16\x03\x01\x00\x02\x01\x00\x15", "\x03\x01\x00\x02");
    COMPLETES(HOLD_TLS, "\x16\x03\x01\x10\x00\x01\x00\x40\x00", "x"); /* more than we look at */
}

static void what_is_too_long(void)
{
    static uint8_t bytes[HOLD_BYTES_MAX + 1];

    memset(bytes, 'a', sizeof bytes);
    CHECK(completes_at(HOLD_LINE, bytes, sizeof bytes, HOLD_BYTES_MAX));
    CHECK(completes_at(HOLD_HTTP, bytes, sizeof bytes, HOLD_BYTES_MAX));
    memset(bytes, '\n', sizeof bytes);
    CHECK(completes_at(HOLD_HTTP, bytes, sizeof bytes, HOLD_BYTES_MAX));
    memcpy(bytes, "\x16\x03\x01\x3f\xfc\x01\x00\x3f\xf8", 9);
    CHECK(completes_at(HOLD_TLS, bytes, sizeof bytes, HOLD_BYTES_MAX));
}

int main(void)
{
    unit_run("request: a byte, a line", data_and_lines);
    unit_run("request: heads of HTTP/1", http_heads);
    unit_run("request: what is no HTTP/1", no_http);
    unit_run("request: ClientHellos", clients_hellos);
    unit_run("request: what is no ClientHello", no_tls);
    unit_run("request: more than is looked at", what_is_too_long);
    return unit_end();
}
