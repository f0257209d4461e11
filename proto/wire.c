/* wire.c - judges datagrams. Pure functions over bytes that a hostile peer may have sent; the fuzz
 * target. */
#include "wire.h"

#include <errno.h>
#include <string.h>

struct wire_rule {
    const char *name;
    enum wire_fd fd;
    size_t min_bytes;
    size_t max_bytes;
};

static const struct wire_rule rules[] = {
#define X(name, value, fd, type, min)                                                              \
    [value] = {#name, WIRE_FD_##fd, (min) ? (min) : sizeof(struct type), sizeof(struct type)},
    WIRE_TYPES(X)
#undef X
};

#define RULE_COUNT (sizeof(rules) / sizeof(rules[0]))

static const struct wire_rule *find_rule(int type)
{
    if (type <= 0 || (size_t)type >= RULE_COUNT || !rules[type].name)
        return NULL;
    return &rules[type];
}

static uint32_t read_u32(const void *bytes, size_t offset)
{
    uint32_t value;
    memcpy(&value, (const uint8_t *)bytes + offset, sizeof value);
    return value;
}

/* Lengths inside a message must agree with its size. */
static bool inner_lengths_fit(int type, const void *bytes, size_t len_bytes)
{
    switch (type) {
    case WIRE_CLAIM: {
        uint32_t len = read_u32(bytes, offsetof(struct wire_claim, address.len_bytes));
        return len >= sizeof(uint16_t) && len <= WIRE_ADDRESS_MAX &&
               (len_bytes == WIRE_CLAIM_MIN || len_bytes == sizeof(struct wire_claim));
    }
    case WIRE_OFFER:
        return len_bytes - WIRE_OFFER_MIN == read_u32(bytes, offsetof(struct wire_offer, addr_len));
    default: return true;
    }
}

int wire_check(const void *bytes, size_t len_bytes, bool has_fd)
{
    struct wire_head head;

    if (len_bytes < sizeof head)
        goto bad;
    memcpy(&head, bytes, sizeof head);
    if (head.magic != WIRE_MAGIC || head.version != WIRE_VERSION)
        goto bad;
    const struct wire_rule *rule = find_rule(head.type);
    if (!rule || len_bytes < rule->min_bytes || len_bytes > rule->max_bytes)
        goto bad;
    if ((rule->fd == WIRE_FD_REQUIRED && !has_fd) || (rule->fd == WIRE_FD_NONE && has_fd))
        goto bad;
    if (!inner_lengths_fit(head.type, bytes, len_bytes))
        goto bad;
    return head.type;
bad:
    errno = EPROTO;
    return -1;
}

const char *wire_type_name(int type)
{
    const struct wire_rule *rule = find_rule(type);
    return rule ? rule->name : "?";
}

void wire_format_token(const uint8_t token[WIRE_TOKEN_SIZE], char text[WIRE_TOKEN_TEXT_SIZE])
{
    static const char digits[] = "0123456789abcdef";

    for (int i = 0; i < WIRE_TOKEN_SIZE; i++) {
        *text++ = digits[token[i] >> 4];
        *text++ = digits[token[i] & 15];
    }
    *text = '\0';
}
