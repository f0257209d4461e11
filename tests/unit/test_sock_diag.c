/* test_sock_diag.c - which connections the kernel says a process has. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/diagnose/sock_diag.h"
#include "tests/unit/unit.h"

#define PAIRS 300 /* more than one part of a list has room for */

static struct pair {
    int client_fd, server_fd;
    struct sock_diag_key key;
    unsigned seen;
} pairs[PAIRS];
static struct sockaddr_storage bound;
static unsigned strangers;

static void open_pairs(int family, const char *device)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_addr = in6addr_any};
    socklen_t len = sizeof bound;
    int fd = socket(family, SOCK_STREAM, 0);

    CHECK(family == AF_INET ? bind(fd, (struct sockaddr *)&in, sizeof in) == 0
                            : bind(fd, (struct sockaddr *)&in6, sizeof in6) == 0);
    CHECK(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, (socklen_t)strlen(device)) == 0);
    CHECK(listen(fd, PAIRS) == 0 && getsockname(fd, (struct sockaddr *)&bound, &len) == 0);
    in.sin_port = ((struct sockaddr_in *)&bound)->sin_port; /* in the same place in both */
    for (int i = 0; i < PAIRS; i++) {
        pairs[i].client_fd = socket(AF_INET, SOCK_STREAM, 0);
        CHECK(connect(pairs[i].client_fd, (struct sockaddr *)&in, sizeof in) == 0);
        pairs[i].server_fd = accept(fd, NULL, NULL);
        CHECK(sock_diag_identify(pairs[i].server_fd, &pairs[i].key));
    }
    close(fd);
}

static void close_pairs(void)
{
    for (int i = 0; i < PAIRS; i++) {
        if (pairs[i].server_fd >= 0)
            close(pairs[i].server_fd);
        close(pairs[i].client_fd);
    }
}

static void on_open(uint64_t cookie)
{
    for (int i = 0; i < PAIRS; i++)
        if (pairs[i].key.cookie == cookie) {
            pairs[i].seen++;
            return;
        }
    strangers++;
}

/* All that a process has, each once, and nothing else. */
static void check_list(void)
{
    const struct sock_diag_key *key = &pairs[0].key;

    strangers = 0;
    for (int i = 0; i < PAIRS; i++)
        pairs[i].seen = 0;
    CHECK(sock_diag_list(key->family, key->local_port, on_open));
    CHECK(strangers == 0);
    for (int i = 0; i < PAIRS; i++) {
        bool is_open = pairs[i].server_fd >= 0;
        CHECK(pairs[i].seen == is_open);
        CHECK(sock_diag_ask(&pairs[i].key) == (is_open ? SOCK_DIAG_OPEN : SOCK_DIAG_CLOSED));
    }
}

static void check_family(int family, const char *device)
{
    open_pairs(family, device);
    check_list();
    for (int i = 0; i < PAIRS; i += 3) {
        close(pairs[i].server_fd); /* the client has not: the kernel goes on with it */
        pairs[i].server_fd = -1;
    }
    check_list();
    close_pairs();
}

static void test_ipv4(void)
{
    check_family(AF_INET, "");
}

static void test_mapped(void)
{
    check_family(AF_INET6, "");
}

static void test_device(void)
{
    check_family(AF_INET, "lo");
    check_family(AF_INET6, "lo");
}

/* As the sender's own poll(2) sees it. */
static bool can_write(int fd)
{
    struct pollfd state = {.fd = fd, .events = POLLOUT};

    return poll(&state, 1, 0) == 1;
}

static void test_sender(void)
{
    int pair[2], sent = 0;
    char byte;

    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    CHECK(!sock_diag_is_sender_full(pair[1]));
    while (can_write(pair[0])) {
        CHECK(!sock_diag_is_sender_full(pair[1]));
        CHECK(send(pair[0], "x", 1, MSG_DONTWAIT) == 1);
        sent++;
    }
    CHECK(sent > 10);
    CHECK(sock_diag_is_sender_full(pair[1]));
    CHECK(!sock_diag_is_sender_full(pair[0]));
    while (recv(pair[1], &byte, 1, MSG_DONTWAIT) == 1)
        ;
    CHECK(!sock_diag_is_sender_full(pair[1]));
    close(pair[0]);
    CHECK(!sock_diag_is_sender_full(pair[1]));
    close(pair[1]);
}

int main(void)
{
    unit_run("the kernel lists what a process has, and answers as much of each", test_ipv4);
    unit_run("and the clients of IPv4 at a listener of [::]", test_mapped);
    unit_run("and the clients of a listener that is bound to a device", test_device);
    unit_run("the peer of a path is full when it could not write", test_sender);
    return unit_end();
}
