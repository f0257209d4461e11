/* env.c - reads SSHIM_* once. Hooks run before our constructor (other libraries' constructors open
 * sockets), so the first caller reads. */
#include "shim/base/env.h"

#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

struct env env;
_Atomic int env_state;

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

static bool parse_token(const char *text, uint8_t token[WIRE_TOKEN_SIZE])
{
    for (size_t i = 0; i < WIRE_TOKEN_SIZE; i++) {
        int high = hex_digit(text[2 * i]);
        int low = high < 0 ? -1 : hex_digit(text[2 * i + 1]);
        if (low < 0)
            return false;
        token[i] = (uint8_t)(high << 4 | low);
    }
    return text[(size_t)2 * WIRE_TOKEN_SIZE] == '\0';
}

/* UINT32_MAX for anything but a decimal number below it. */
static uint32_t parse_u32(const char *text)
{
    uint64_t value = 0;

    if (!text || !*text)
        return UINT32_MAX;
    for (; *text >= '0' && *text <= '9' && value < UINT32_MAX; text++)
        value = value * 10 + (uint64_t)(*text - '0');
    return *text || value >= UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

/* "NAME=value" one after the other, each with its end. */
static char kept_text[ENV_KEPT_SIZE];
static const char *_Atomic kept[ENV_KEPT_MAX];

static size_t keep(unsigned i, const char *name, const char *value, size_t used)
{
    size_t name_len = strlen(name);
    size_t value_len = value ? strlen(value) : 0;

    if (!value || used + name_len + value_len + 2 > sizeof kept_text)
        return used;
    memcpy(kept_text + used, name, name_len);
    kept_text[used + name_len] = '=';
    memcpy(kept_text + used + name_len + 1, value, value_len + 1);
    kept[i] = kept_text + used;
    return used + name_len + value_len + 2;
}

static void keep_all(const char *tree)
{
    static const char *const names[] = {"SSHIM_TREE",      "SSHIM_BROKER",    "SSHIM_RENDEZVOUS",
                                        "SSHIM_TOKEN",     "SSHIM_WORKER_ID", "SSHIM_OWNER",
                                        "SSHIM_SHARE_ALL", "SSHIM_PROXIED",   "SSHIM_ASKED_PORTS",
                                        "LD_PRELOAD"};
    static_assert(sizeof names / sizeof names[0] == ENV_KEPT_MAX, "each has its place");
    size_t used = keep(ENV_KEPT_TREE, names[ENV_KEPT_TREE], tree, 0);

    for (unsigned i = ENV_KEPT_TREE + 1; i < ENV_KEPT_MAX; i++)
        used = keep(i, names[i], getenv(names[i]), used);
}

const char *env_get_kept(unsigned i)
{
    return kept[i];
}

void env_keep_proxied(uint32_t flags)
{
    static const char *const texts[] = {NULL, "SSHIM_PROXIED=1", "SSHIM_PROXIED=2",
                                        "SSHIM_PROXIED=3"};

    kept[ENV_KEPT_PROXIED] = texts[flags & (WIRE_GRANT_PROXIED | WIRE_GRANT_UNMAP)];
}

static void read_rendezvous(const char *name)
{
    size_t len = name ? strlen(name) : 0;

    if (len < sizeof env.rendezvous - 1) /* with a zero in front it is to fit as well */
        memcpy(env.rendezvous, name ? name : "", len);
}

/* 0: none. */
static uint16_t read_port(const char **text)
{
    uint32_t port = 0;

    for (; **text >= '0' && **text <= '9' && port <= UINT16_MAX; (*text)++)
        port = port * 10 + (uint32_t)(**text - '0');
    return port <= UINT16_MAX ? (uint16_t)port : 0;
}

/* "80" or "7f000001:80". */
static struct env_end read_end(const char **text)
{
    struct env_end end = {.host_len = 0};
    size_t digits = 0;

    while (digits < 33 && hex_digit((*text)[digits]) >= 0)
        digits++;
    if ((*text)[digits] == ':' && (digits == 8 || digits == 32)) {
        end.host_len = (uint8_t)(digits / 2);
        for (size_t i = 0; i < end.host_len; i++)
            end.host[i] = (uint8_t)(hex_digit((*text)[2 * i]) << 4 | hex_digit((*text)[2 * i + 1]));
        *text += digits + 1;
    }
    end.port = read_port(text);
    return end;
}

/* "80=8080 7f000002:443=7f000001:8443", up to the first that makes no sense. */
static void read_ports(const char *text)
{
    unsigned count = 0;

    for (; text && *text && count < ENV_PORTS_MAX; text += *text == ' ') {
        env.ports[count].real = read_end(&text);
        if (*text != '=')
            break;
        text++;
        env.ports[count].asked = read_end(&text);
        if (*text && *text != ' ')
            break;
        count++;
    }
    env.port_count = count;
}

/*
 * Of the kernel's random bytes for this program (getauxval(3), AT_RANDOM), without a system call.
 * Those are the stack protector's secret, and children see what we make of them: of 128 bits 64
 * are told, mixed.
 */
static void make_tree(uint8_t tree[WIRE_TOKEN_SIZE])
{
    const uint8_t *random = (const void *)(uintptr_t)getauxval(AT_RANDOM);
    uint64_t half;
    uint64_t mixed;

    if (!random)
        return; /* no kernel since Linux 2.6.29 */
    memcpy(&half, random, sizeof half);
    mixed = (half ^ half >> 31) * UINT64_C(0x9e3779b97f4a7c15);
    memcpy(&half, random + sizeof half, sizeof half);
    mixed = (mixed ^ half) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed ^= mixed >> 29;
    memset(tree, 0, WIRE_TOKEN_SIZE);
    memcpy(tree, &mixed, sizeof mixed);
}

/* A process that joins, and all that it starts, are one worker. */
static const char *read_tree(void)
{
    static char made[WIRE_TOKEN_TEXT_SIZE];
    const char *tree = getenv("SSHIM_TREE");

    if (env.auth.slot != WIRE_SLOT_NONE)
        return NULL;
    if (tree && parse_token(tree, env.auth.token))
        return tree;
    make_tree(env.auth.token);
    env.is_tree_root = true;
    wire_format_token(env.auth.token, made);
    return made;
}

/* Before libc has set environ (.preinit_array) nothing is known, for now. A program that gained
 * rights by its execution (setuid, file capabilities) believes nothing that its starter wrote. */
/* cold: once in a process, so its size counts and not its speed */
__attribute__((cold)) void env_read(void)
{
    if (!environ)
        return;
    const char *broker = getenv("SSHIM_BROKER");
    const char *token = getenv("SSHIM_TOKEN");
    const char *share = getenv("SSHIM_SHARE_ALL");
    const char *proxied = getenv("SSHIM_PROXIED");

    if (!broker || !*broker || getauxval(AT_SECURE)) {
        atomic_store_explicit(&env_state, 1, memory_order_release);
        return;
    }
    size_t len = strlen(broker);
    env.broken = len >= sizeof env.broker;
    memcpy(env.broker, broker, env.broken ? sizeof env.broker - 1 : len);
    read_rendezvous(getenv("SSHIM_RENDEZVOUS"));
    env.auth.slot = WIRE_SLOT_NONE;
    if (token && parse_token(token, env.auth.token))
        env.auth.slot = parse_u32(getenv("SSHIM_WORKER_ID"));
    env.owner_uid = parse_u32(getenv("SSHIM_OWNER"));
    env.proxied = proxied ? parse_u32(proxied) : 0;
    read_ports(getenv("SSHIM_ASKED_PORTS"));
    atomic_store_explicit(&env.share_all,
                          env.auth.slot == WIRE_SLOT_NONE || (share && strcmp(share, "1") == 0),
                          memory_order_relaxed);
    keep_all(read_tree());
    atomic_store_explicit(&env_state, 2, memory_order_release);
}
