/* test_shareable.c - shim/listen/shareable.c: which bind() may be shared. */
#include "shim/listen/shareable.h"

#include <netinet/in.h>
#include <stddef.h>
#include <sys/un.h>
#include <time.h>

#include "record.h"
#include "shim/base/env.h"

static struct sockaddr_storage copy;
static bool is_late;

static int64_t clock_ms = 1000000;

/* In the place of the C library's. */
int clock_gettime(clockid_t clock, struct timespec *now)
{
    (void)clock;
    *now = (struct timespec){clock_ms / 1000, clock_ms % 1000 * 1000000};
    return 0;
}

static socklen_t judge(int fd, const void *addr, size_t len)
{
    is_late = false;
    return shareable_address(fd, addr, (socklen_t)len, &copy, &is_late);
}

static socklen_t judge_new(int family, int type, const void *addr, size_t len)
{
    int fd = socket(family, type, 0);
    socklen_t shared = judge(fd, addr, len);

    close(fd);
    return shared;
}

static void a_tcp_port_is_and_port_0_where_all_is_shared(void)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(80)};
    struct sockaddr_in6 addr6 = {.sin6_family = AF_INET6, .sin6_port = htons(80)};

    CHECK(judge_new(AF_INET, SOCK_STREAM, &addr, sizeof addr) == sizeof addr && !is_late);
    CHECK(memcmp(&copy, &addr, sizeof addr) == 0);
    CHECK(judge_new(AF_INET6, SOCK_STREAM, &addr6, sizeof addr6) == sizeof addr6);
    CHECK(judge_new(AF_INET6, SOCK_STREAM, &addr6, 24) == 24); /* RFC 2553 */
    CHECK(judge_new(AF_INET, SOCK_STREAM, &addr, sizeof addr - 1) == 0);
    addr.sin_port = 0;
    CHECK(judge_new(AF_INET, SOCK_STREAM, &addr, sizeof addr) == 0);
    env.share_all = true;
    CHECK(judge_new(AF_INET, SOCK_STREAM, &addr, sizeof addr) == sizeof addr);
    env.share_all = false;
}

static void the_length_of_whatever_holds_the_address_is_cut(void)
{
    struct sockaddr_storage addr = {.ss_family = AF_INET};

    ((struct sockaddr_in *)&addr)->sin_port = htons(80);
    CHECK(judge_new(AF_INET, SOCK_STREAM, &addr, sizeof addr) == sizeof(struct sockaddr_in));
}

static void no_family_means_ipv4_to_such_a_socket(void)
{
    struct sockaddr_in addr = {.sin_family = AF_UNSPEC, .sin_port = htons(80)};

    CHECK(judge_new(AF_INET, SOCK_STREAM, &addr, sizeof addr) == sizeof addr);
    CHECK(copy.ss_family == AF_INET);
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(judge_new(AF_INET, SOCK_STREAM, &addr, sizeof addr) == 0);
}

static void a_name_of_af_unix_is_and_no_name_is_not(void)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX, .sun_path = "/run/x"};
    size_t head = offsetof(struct sockaddr_un, sun_path);

    CHECK(judge_new(AF_UNIX, SOCK_STREAM, &addr, head + 7) == head + 7);
    CHECK(judge_new(AF_UNIX, SOCK_SEQPACKET, &addr, head + 7) == head + 7);
    CHECK(judge_new(AF_UNIX, SOCK_STREAM, &addr, head) == 0); /* autobind */
    memcpy(addr.sun_path, "\0name", 5);
    CHECK(judge_new(AF_UNIX, SOCK_STREAM, &addr, head + 5) == head + 5);
}

static void what_is_of_another_kind_is_not(void)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(80)};
    struct sockaddr_un un = {.sun_family = AF_UNIX, .sun_path = "/run/x"};

    CHECK(judge_new(AF_INET, SOCK_DGRAM, &addr, sizeof addr) == 0);
    CHECK(judge_new(AF_UNIX, SOCK_DGRAM, &un, sizeof un) == 0);
    CHECK(judge_new(AF_UNIX, SOCK_STREAM, &addr, sizeof addr) == 0); /* another family */
    CHECK(judge(-1, &addr, sizeof addr) == 0);
    CHECK(judge_new(AF_INET, SOCK_STREAM, (void *)16, sizeof addr) == 0); /* the kernel's EFAULT */
    CHECK(judge_new(AF_INET, SOCK_STREAM, &addr, 1) == 0);
}

static void a_socket_that_has_a_name_or_a_peer_is_not(void)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(80)};
    int bound_fd = record_open_canonical();
    int pair[2];

    CHECK(judge(bound_fd, &addr, sizeof addr) == 0);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    struct sockaddr_un un = {.sun_family = AF_UNIX, .sun_path = "/run/x"};
    CHECK(judge(pair[0], &un, sizeof un) == 0);
    close(bound_fd);
    close(pair[0]);
    close(pair[1]);
}

/* FTP's data listeners. */
static void after_the_first_accept_it_is_late_but_for_what_was_had_before(void)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(80)};

    record_make(0, true);
    shareable_remember(&vlisten_table[0], (struct sockaddr_storage *)&addr, sizeof addr);
    vlisten_accepts = VLISTEN_ACCEPTED | VLISTEN_ACCEPTED_AT_PORT;
    CHECK(judge_new(AF_INET, SOCK_STREAM, &addr, sizeof addr) && !is_late);
    addr.sin_port = htons(81);
    vlisten_accepts = VLISTEN_ACCEPTED; /* at a socket file: that says nothing about a port */
    CHECK(judge_new(AF_INET, SOCK_STREAM, &addr, sizeof addr) && !is_late);
    vlisten_accepts = VLISTEN_ACCEPTED | VLISTEN_ACCEPTED_AT_PORT;
    CHECK(judge_new(AF_INET, SOCK_STREAM, &addr, sizeof addr) && is_late);
    record_boards[0].broker.flags = BOARD_SHARE_LATE;
    CHECK(judge_new(AF_INET, SOCK_STREAM, &addr, sizeof addr) && !is_late);
    record_boards[0].broker.flags = 0;
    record_boards[0].worker.holders = 0; /* it has closed all and begins anew */
    CHECK(judge_new(AF_INET, SOCK_STREAM, &addr, sizeof addr) && !is_late);
    vlisten_accepts = 0;
    record_drop(0);
}

static void a_later_first_accept_at_a_port_is_no_new_beginning(void)
{
    vlisten_note_bound();
    vlisten_note_first_accept(VLISTEN_ACCEPTED);
    clock_ms += WIRE_BEGINNING_MS - 1;
    CHECK(vlisten_begins());
    clock_ms++;
    CHECK(!vlisten_begins());
    vlisten_note_first_accept(VLISTEN_ACCEPTED | VLISTEN_ACCEPTED_AT_PORT);
    CHECK(!vlisten_begins());
}

int main(void)
{
    next_resolve();
    unit_run("shareable: a TCP port is, and port 0 where all is shared",
             a_tcp_port_is_and_port_0_where_all_is_shared);
    unit_run("shareable: the length of whatever holds the address is cut",
             the_length_of_whatever_holds_the_address_is_cut);
    unit_run("shareable: no family means IPv4 to such a socket",
             no_family_means_ipv4_to_such_a_socket);
    unit_run("shareable: a name of AF_UNIX is, and no name is not",
             a_name_of_af_unix_is_and_no_name_is_not);
    unit_run("shareable: what is of another kind is not", what_is_of_another_kind_is_not);
    unit_run("shareable: a socket that has a name or a peer is not",
             a_socket_that_has_a_name_or_a_peer_is_not);
    unit_run("shareable: after the first accept it is late, but for what was had before",
             after_the_first_accept_it_is_late_but_for_what_was_had_before);
    unit_run("shareable: a later first accept at a port is no new beginning",
             a_later_first_accept_at_a_port_is_no_new_beginning);
    return unit_end();
}
