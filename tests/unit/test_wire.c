/* test_wire.c - proto/wire.c: what is a message and what is not. */
#include <string.h>

#include "proto/wire.h"
#include "unit.h"

static uint8_t bytes[WIRE_MESSAGE_MAX + 1];

struct rule {
    enum wire_type type;
    enum wire_fd fd;
    size_t min, max;
};

static const struct rule rules[] = {
#define X(name, value, fd, type, min)                                                              \
    {WIRE_##name, WIRE_FD_##fd, (min) ? (min) : sizeof(struct type), sizeof(struct type)},
    WIRE_TYPES(X)
#undef X
};
#define RULES (sizeof rules / sizeof rules[0])

/* The smallest message of this type with inner lengths that fit. */
static size_t make(const struct rule *rule)
{
    memset(bytes, 0, sizeof bytes);
    *(struct wire_head *)bytes = WIRE_HEAD(rule->type);
    if (rule->type == WIRE_CLAIM)
        ((struct wire_claim *)bytes)->address.len_bytes = 16;
    return rule->min;
}

static void accepts_each_type(void)
{
    for (size_t i = 0; i < RULES; i++) {
        size_t len = make(&rules[i]);
        CHECK(wire_check(bytes, len, rules[i].fd == WIRE_FD_REQUIRED) == (int)rules[i].type);
    }
}

static void judges_the_fd(void)
{
    for (size_t i = 0; i < RULES; i++) {
        size_t len = make(&rules[i]);
        bool without = wire_check(bytes, len, false) == (int)rules[i].type;
        bool with = wire_check(bytes, len, true) == (int)rules[i].type;
        CHECK(without == (rules[i].fd != WIRE_FD_REQUIRED));
        CHECK(with == (rules[i].fd != WIRE_FD_NONE));
    }
}

static void refuses_wrong_sizes(void)
{
    for (size_t i = 0; i < RULES; i++) {
        bool fd = rules[i].fd == WIRE_FD_REQUIRED;
        size_t len = make(&rules[i]);
        CHECK(wire_check(bytes, len - 1, fd) == -1);
        CHECK(wire_check(bytes, rules[i].max + 1, fd) == -1);
    }
}

static void refuses_every_truncation(void)
{
    make(&rules[0]);
    for (size_t len = 0; len < sizeof(struct wire_claim); len++)
        CHECK((wire_check(bytes, len, true) == -1) == (len != WIRE_CLAIM_MIN));
}

static void refuses_wrong_heads(void)
{
    struct wire_head *head = (struct wire_head *)bytes;

    for (unsigned bit = 0; bit < 32; bit++) {
        size_t len = make(&rules[0]);
        head->magic ^= 1u << bit;
        CHECK(wire_check(bytes, len, true) == -1);
    }
    size_t len = make(&rules[0]);
    head->version++;
    CHECK(wire_check(bytes, len, true) == -1);
}

static void refuses_unknown_types(void)
{
    for (unsigned type = 0; type < 70000; type++) {
        bool known = false;
        make(&rules[0]);
        ((struct wire_head *)bytes)->type = (uint16_t)type;
        for (size_t i = 0; i < RULES; i++)
            known |= rules[i].type == (uint16_t)type;
        if (!known)
            CHECK(wire_check(bytes, sizeof(struct wire_claim), true) == -1);
    }
}

static void bounds_inner_lengths(void)
{
    struct wire_claim *claim = (struct wire_claim *)bytes;
    const uint32_t bad[] = {0, 1, WIRE_ADDRESS_MAX + 1, UINT32_MAX, 1u << 31};

    make(&rules[0]);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        claim->address.len_bytes = bad[i];
        CHECK(wire_check(bytes, sizeof *claim, true) == -1);
    }
    claim->address.len_bytes = WIRE_ADDRESS_MAX;
    CHECK(wire_check(bytes, sizeof *claim, true) == WIRE_CLAIM);
}

static void offer_length_agrees_with_size(void)
{
    struct wire_offer *offer = (struct wire_offer *)bytes;

    memset(bytes, 0, sizeof bytes);
    offer->head = WIRE_HEAD(WIRE_OFFER);
    for (uint32_t len = 0; len <= WIRE_ADDRESS_MAX; len++) {
        offer->addr_len = len;
        CHECK(wire_check(bytes, WIRE_OFFER_MIN + len, true) == WIRE_OFFER);
        CHECK(wire_check(bytes, WIRE_OFFER_MIN + len + 1, true) == -1);
        if (len > 0)
            CHECK(wire_check(bytes, WIRE_OFFER_MIN + len - 1, true) == -1);
    }
}

static void names_types(void)
{
    CHECK(strcmp(wire_type_name(WIRE_CLAIM), "CLAIM") == 0);
    CHECK(strcmp(wire_type_name(0), "?") == 0);
    CHECK(strcmp(wire_type_name(-5), "?") == 0);
    CHECK(strcmp(wire_type_name(100000), "?") == 0);
}

int main(void)
{
    unit_run("wire: the smallest message of each type is accepted", accepts_each_type);
    unit_run("wire: a descriptor must be there, must not, or may, as the type says", judges_the_fd);
    unit_run("wire: a byte too few or too many is refused", refuses_wrong_sizes);
    unit_run("wire: every truncation of a claim is refused, but the one that leaves out the inode",
             refuses_every_truncation);
    unit_run("wire: another magic or version is refused", refuses_wrong_heads);
    unit_run("wire: an unknown type is refused", refuses_unknown_types);
    unit_run("wire: a length inside a message is bounded", bounds_inner_lengths);
    unit_run("wire: an offer's length agrees with its size", offer_length_agrees_with_size);
    unit_run("wire: a type's name can be asked for any number", names_types);
    return unit_end();
}
