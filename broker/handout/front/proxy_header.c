/* proxy_header.c - see proxy_header.h. */
#include "broker/handout/front/proxy_header.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "broker/base/options/parse.h"

static enum proxy_verdict fault(struct proxy_header *header, const char *what)
{
    header->fault = what;
    return PROXY_INVALID;
}

/* Whether the bytes, as far as they are there, begin with prefix. */
static bool may_begin_with(const uint8_t *bytes, size_t len, const void *prefix, size_t prefix_len)
{
    return memcmp(bytes, prefix, len < prefix_len ? len : prefix_len) == 0;
}

/* --- version 1: a line of text --- */

static const char v1_signature[] = "PROXY ";

#define V1_SIGNATURE_LEN (sizeof v1_signature - 1)

/* The next word of the line, which single spaces separate. False: there is none. */
static bool take_word(char **line, char **word)
{
    *word = *line;
    if (!*word)
        return false;
    *line = strchr(*word, ' ');
    if (*line)
        *(*line)++ = '\0';
    return **word != '\0';
}

static bool read_port(const char *text, in_port_t *port)
{
    unsigned number;

    if ((text[0] == '0' && text[1]) || !option_parse_number(text, 0, 65535, &number))
        return false;
    *port = htons((uint16_t)number);
    return true;
}

static bool read_end(int family, const char *host, const char *port, struct sockaddr_storage *end)
{
    struct sockaddr_in *in = (struct sockaddr_in *)end;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)end;

    memset(end, 0, sizeof *end);
    end->ss_family = (sa_family_t)family;
    if (family == AF_INET)
        return inet_pton(AF_INET, host, &in->sin_addr) == 1 && read_port(port, &in->sin_port);
    return inet_pton(AF_INET6, host, &in6->sin6_addr) == 1 && read_port(port, &in6->sin6_port);
}

/* "TCP4 192.0.2.1 192.0.2.2 4711 80"; what follows UNKNOWN is to be ignored. */
static bool read_v1_line(char *line, struct proxy_header *header)
{
    char *protocol, *source, *destination, *source_port, *destination_port;

    if (!take_word(&line, &protocol))
        return false;
    if (strcmp(protocol, "UNKNOWN") == 0)
        return true;
    int family = strcmp(protocol, "TCP4") == 0   ? AF_INET
                 : strcmp(protocol, "TCP6") == 0 ? AF_INET6
                                                 : AF_UNSPEC;
    header->has_ends = family != AF_UNSPEC && take_word(&line, &source) &&
                       take_word(&line, &destination) && take_word(&line, &source_port) &&
                       take_word(&line, &destination_port) && !line &&
                       read_end(family, source, source_port, &header->source) &&
                       read_end(family, destination, destination_port, &header->destination);
    return header->has_ends;
}

static enum proxy_verdict read_v1(const uint8_t *bytes, size_t len, struct proxy_header *header)
{
    char line[PROXY_HEADER_V1_MAX + 1];
    size_t seen = len < PROXY_HEADER_V1_MAX ? len : PROXY_HEADER_V1_MAX;
    const uint8_t *end = memchr(bytes, '\n', seen);

    if (!end && seen == PROXY_HEADER_V1_MAX)
        return fault(header, "the line of its PROXY header is longer than 107 bytes");
    if (!end)
        return PROXY_INCOMPLETE;
    header->len = (size_t)(end - bytes) + 1;
    if (end[-1] != '\r')
        return fault(header, "the line of its PROXY header does not end with CR LF");
    size_t line_len = header->len - 2 - V1_SIGNATURE_LEN;
    memcpy(line, bytes + V1_SIGNATURE_LEN, line_len);
    line[line_len] = '\0';
    if (strlen(line) != line_len || !read_v1_line(line, header))
        return fault(header,
                     "its PROXY header is not 'PROXY TCP4|TCP6 SOURCE DESTINATION PORT PORT'");
    return PROXY_COMPLETE;
}

/* --- version 2: binary --- */

static const char v2_signature[] = "\r\n\r\n\0\r\nQUIT\n";

#define V2_SIGNATURE_LEN (sizeof v2_signature - 1)
#define V2_HEAD 16 /* signature, version and command, family and protocol, length */
#define V2_LOCAL 0x20
#define V2_PROXY 0x21

/* By its first half, the family: how many bytes the addresses have, 2.2. */
static const struct {
    uint8_t family_and_protocol;
    uint8_t len;
    int family; /* AF_UNSPEC: they do not name the ends of a TCP connection */
} v2_addresses[] = {
    {0x00, 0, AF_UNSPEC},  {0x11, 12, AF_INET},    {0x12, 12, AF_UNSPEC},  {0x21, 36, AF_INET6},
    {0x22, 36, AF_UNSPEC}, {0x31, 216, AF_UNSPEC}, {0x32, 216, AF_UNSPEC},
};

static void copy_ends(const uint8_t *at, int family, struct proxy_header *header)
{
    size_t host_len = family == AF_INET ? 4 : 16;
    const uint8_t *ports = at + 2 * host_len;
    struct sockaddr_storage *ends[] = {&header->source, &header->destination};

    for (size_t i = 0; i < 2; i++) {
        struct sockaddr_in *in = (struct sockaddr_in *)ends[i];
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ends[i];
        memset(ends[i], 0, sizeof *ends[i]);
        ends[i]->ss_family = (sa_family_t)family;
        memcpy(family == AF_INET ? (void *)&in->sin_addr : (void *)&in6->sin6_addr,
               at + i * host_len, host_len);
        /* in the same place in both */
        memcpy(&in->sin_port, ports + i * sizeof in->sin_port, sizeof in->sin_port);
    }
    header->has_ends = true;
}

static uint32_t crc32c_step(uint32_t crc, uint8_t byte)
{
    crc ^= byte;
    for (int bit = 0; bit < 8; bit++)
        crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0); /* Castagnoli, reflected: RFC 9260, A */
    return crc;
}

/* Of the whole header, with the four bytes at `at` taken for 0: 2.2.3. */
static bool is_crc_right(const uint8_t *bytes, size_t len, size_t at)
{
    uint32_t crc = UINT32_MAX;
    uint32_t given;

    for (size_t i = 0; i < len; i++)
        crc = crc32c_step(crc, i - at < sizeof given ? 0 : bytes[i]);
    memcpy(&given, bytes + at, sizeof given);
    return ntohl(given) == ~crc;
}

#define TLV_HEAD 3 /* type, length in two bytes */
#define TLV_CRC32C 0x03

static const char *check_tlvs(const uint8_t *bytes, size_t at, size_t len)
{
    while (at < len) {
        if (len - at < TLV_HEAD)
            return "the last TLV of its PROXY header is cut";
        size_t value_len = (size_t)bytes[at + 1] << 8 | bytes[at + 2];
        if (value_len > len - at - TLV_HEAD)
            return "a TLV is longer than its PROXY header";
        if (bytes[at] == TLV_CRC32C && value_len != 4)
            return "the checksum of its PROXY header has not four bytes";
        if (bytes[at] == TLV_CRC32C && !is_crc_right(bytes, len, at + TLV_HEAD))
            return "the checksum (CRC32c) of its PROXY header is wrong";
        at += TLV_HEAD + value_len;
    }
    return NULL;
}

/* All of it is there. */
static enum proxy_verdict read_v2_body(const uint8_t *bytes, struct proxy_header *header)
{
    const char *what;
    size_t i = 0;

    if (bytes[12] == V2_LOCAL) /* the rest is to be ignored: 2.2 */
        return PROXY_COMPLETE;
    while (i < sizeof v2_addresses / sizeof v2_addresses[0] &&
           v2_addresses[i].family_and_protocol != bytes[13])
        i++;
    if (i == sizeof v2_addresses / sizeof v2_addresses[0])
        return fault(header, "the family or protocol in its PROXY header is unknown");
    if (v2_addresses[i].len > header->len - V2_HEAD)
        return fault(header, "its PROXY header is too short for its addresses");
    if ((what = check_tlvs(bytes, V2_HEAD + v2_addresses[i].len, header->len)) != NULL)
        return fault(header, what);
    if (v2_addresses[i].family != AF_UNSPEC)
        copy_ends(bytes + V2_HEAD, v2_addresses[i].family, header);
    return PROXY_COMPLETE;
}

static enum proxy_verdict read_v2(const uint8_t *bytes, size_t len, struct proxy_header *header)
{
    header->len = V2_HEAD;
    if (len > 12 && bytes[12] != V2_LOCAL && bytes[12] != V2_PROXY)
        return fault(header, "the version or command in its PROXY header is unknown");
    if (len < V2_HEAD)
        return PROXY_INCOMPLETE;
    header->len += (size_t)bytes[14] << 8 | bytes[15];
    if (header->len > PROXY_HEADER_V2_MAX)
        return fault(header, "its PROXY header is longer than 4096 bytes");
    return len < header->len ? PROXY_INCOMPLETE : read_v2_body(bytes, header);
}

enum proxy_verdict proxy_header_read(const uint8_t *bytes, size_t len,
                                     enum config_accept_proxy version, struct proxy_header *header)
{
    *header = (struct proxy_header){.len = len + 1};
    if (len == 0)
        return PROXY_INCOMPLETE;
    if (version != ACCEPT_PROXY_V2 && may_begin_with(bytes, len, v1_signature, V1_SIGNATURE_LEN))
        return len < V1_SIGNATURE_LEN ? PROXY_INCOMPLETE : read_v1(bytes, len, header);
    if (version != ACCEPT_PROXY_V1 && may_begin_with(bytes, len, v2_signature, V2_SIGNATURE_LEN))
        return read_v2(bytes, len, header);
    return fault(header, "it does not begin with a PROXY header");
}
