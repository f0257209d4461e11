/* test_socket_key.c - what tells two listeners with one address apart. */
#include "broker/pool/socket_key.h"

#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "unit.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

static struct address any(int family)
{
    struct address address = {.len = family == AF_INET ? sizeof(struct sockaddr_in)
                                                       : sizeof(struct sockaddr_in6)};

    address.storage.ss_family = (sa_family_t)family;
    return address;
}

static struct socket_key key_of(int fd, struct address address)
{
    struct socket_key key;

    socket_key_read(&key, &address, fd);
    return key;
}

static void plain_ones_are_equal(void)
{
    int a = socket(AF_INET, SOCK_STREAM, 0);
    int b = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP);
    struct socket_key key = key_of(a, any(AF_INET));
    struct socket_key other = key_of(b, any(AF_INET));

    CHECK(socket_key_equal(&key, &other));
    CHECK(key.netns == 0 && key.device == 0 && key.protocol == 0 && key.zone[0] == '\0');
    close(a);
    close(b);
}

static void v6only_matters_for_any(void)
{
    int on = 1;
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    struct address local = any(AF_INET6);
    ((struct sockaddr_in6 *)&local.storage)->sin6_addr = in6addr_loopback;
    struct socket_key both = key_of(fd, any(AF_INET6));
    struct socket_key plain = key_of(fd, local);

    CHECK(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) == 0);
    struct socket_key only = key_of(fd, any(AF_INET6));
    struct socket_key still_plain = key_of(fd, local);
    CHECK(!socket_key_equal(&both, &only));
    CHECK(socket_key_equal(&plain, &still_plain));
    close(fd);
}

static void what_is_no_socket_is_nothing(void)
{
    struct socket_key key = key_of(0, any(AF_INET));

    CHECK(key.device == 0 && key.protocol == 0);
}

static struct address named(const char *name, size_t len)
{
    struct address address = {.len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)};
    struct sockaddr_un *un = (struct sockaddr_un *)&address.storage;

    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, name, len);
    return address;
}

static void packets_of_an_abstract_name_are_another_listener(void)
{
    int stream = socket(AF_UNIX, SOCK_STREAM, 0);
    int packets = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    struct socket_key key = key_of(stream, named("\0name", 5));
    struct socket_key other = key_of(packets, named("\0name", 5));
    char text[SOCKET_KEY_TEXT_MAX];
    struct address address = named("\0name", 5);

    CHECK(!socket_key_equal(&key, &other));
    CHECK(strcmp(socket_key_format(&other, &address, text), "unix:@name/seqpacket") == 0);
    key = key_of(stream, named("/file", 5));
    other = key_of(packets, named("/file", 5));
    CHECK(socket_key_equal(&key, &other));
    close(stream);
    close(packets);
}

static void fit_are_streams_and_packets_of_files(void)
{
    int fds[] = {socket(AF_INET, SOCK_STREAM, 0), socket(AF_INET, SOCK_DGRAM, 0),
                 socket(AF_UNIX, SOCK_SEQPACKET, 0), socket(AF_UNIX, SOCK_DGRAM, 0)};

    CHECK(socket_key_is_fit(fds[0], AF_INET) && !socket_key_is_fit(fds[0], AF_INET6));
    CHECK(!socket_key_is_fit(fds[1], AF_INET));
    CHECK(socket_key_is_fit(fds[2], AF_UNIX));
    CHECK(!socket_key_is_fit(fds[3], AF_UNIX) && !socket_key_is_fit(0, AF_UNIX));
    for (int i = 0; i < 4; i++)
        close(fds[i]);
}

static bool reads(struct socket_key key, const char *text)
{
    char got[SOCKET_KEY_TEXT_MAX];
    struct address address = any(key.v6only ? AF_INET6 : AF_INET);

    return strcmp(socket_key_format(&key, &address, got), text) == 0;
}

static void is_told(void)
{
    CHECK(reads((struct socket_key){0}, "0.0.0.0:0"));
    CHECK(reads((struct socket_key){.zone = "eth0"}, "0.0.0.0%eth0:0"));
    CHECK(reads((struct socket_key){.zone = "eth0", .v6only = true}, "[::%eth0]:0"));
    CHECK(reads((struct socket_key){.protocol = IPPROTO_MPTCP}, "0.0.0.0:0/mptcp"));
    CHECK(reads((struct socket_key){.netns = 7}, "0.0.0.0:0@netns:7"));
}

int main(void)
{
    unit_run("sockets that differ in nothing are equal", plain_ones_are_equal);
    unit_run("IPV6_V6ONLY matters for [::] alone", v6only_matters_for_any);
    unit_run("what is no socket has no key", what_is_no_socket_is_nothing);
    unit_run("packets of an abstract name are another listener",
             packets_of_an_abstract_name_are_another_listener);
    unit_run("streams and packets of AF_UNIX may be shared", fit_are_streams_and_packets_of_files);
    unit_run("device, protocol and namespace are told", is_told);
    return unit_end();
}
