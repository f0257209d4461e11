/* names.c - bind, listen, connect, shutdown, getsockname, getpeername. */
#include "calls.h"

#define ADDR(a) ((struct sockaddr *)&(a))

static void bind_errors(void)
{
    struct sockaddr_in addr = inet_address(port);
    struct sockaddr_in foreign = inet_address(port);
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    struct sockaddr_storage large = {.ss_family = AF_INET};
    int fd = inet_socket();
    int pipes[2];

    puts("bind, errors");
    inet_pton(AF_INET, "192.0.2.1", &foreign.sin_addr);
    SHOW(bind(-1, ADDR(addr), sizeof addr));
    SHOW(bind(999, ADDR(addr), sizeof addr));
    SHOW(bind(fd, NULL, sizeof addr));
    SHOW(bind(fd, BAD, sizeof addr));
    SHOW(bind(fd, ADDR(addr), 0));
    SHOW(bind(fd, ADDR(addr), 1));
    SHOW(bind(fd, ADDR(addr), 15));
    SHOW(bind(fd, ADDR(addr), 129));
    SHOW(bind(fd, ADDR(addr), (socklen_t)-1));
    SHOW(bind(fd, ADDR(foreign), sizeof foreign));
    SHOW(bind(fd, ADDR(six), sizeof six));
    addr.sin_family = AF_UNIX;
    SHOW(bind(fd, ADDR(addr), sizeof addr));
    addr.sin_family = 77;
    SHOW(bind(fd, ADDR(addr), sizeof addr));
    if (pipe(pipes) == 0) {
        addr = inet_address(port);
        SHOW(bind(pipes[0], ADDR(addr), sizeof addr));
        SHOW(listen(pipes[0], 1));
        SHOW(accept(pipes[0], NULL, NULL));
        SHOW(shutdown(pipes[0], SHUT_RD));
        close(pipes[0]);
        close(pipes[1]);
    }
    memcpy(&large, &addr, sizeof addr);
    SHOW(bind(fd, ADDR(large), sizeof large));
    show_name(fd);
    SHOW(bind(fd, ADDR(addr), sizeof addr));
    close(fd);
}

static void bind_taken(void)
{
    struct sockaddr_in addr = inet_address(port);
    int one = 1;
    int fd = inet_bound();
    int other_fd = inet_socket();

    puts("bind, address taken");
    DIFFERS(bind(other_fd, ADDR(addr), sizeof addr));
    close(other_fd);
    other_fd = inet_socket();
    SHOW(listen(fd, 5));
    SHOW(bind(other_fd, ADDR(addr), sizeof addr));
    SHOW(setsockopt(other_fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one));
    SHOW(bind(other_fd, ADDR(addr), sizeof addr));
    SHOW(close(fd));
    SHOW(bind(other_fd, ADDR(addr), sizeof addr));
    show_name(other_fd);
    SHOW(bind(other_fd, ADDR(addr), sizeof addr));
    SHOW(close(other_fd));
}

static void listen_states(void)
{
    struct sockaddr_in addr = inet_address(port);
    struct sockaddr_storage name;
    socklen_t len = sizeof name;
    int fd = inet_bound();
    int udp_fd = socket(AF_INET, SOCK_DGRAM, 0);

    puts("listen");
    SHOW(listen(-1, 1));
    SHOW(listen(udp_fd, 1));
    SHOW(accept(udp_fd, NULL, NULL));
    close(udp_fd);
    show_name(fd);
    SHOW(getpeername(fd, ADDR(name), &len));
    SHOW(accept(fd, NULL, NULL));
    SHOW(shutdown(fd, SHUT_RD));
    SHOW(listen(fd, 0));
    SHOW(listen(fd, -1));
    SHOW(listen(fd, 5));
    show_name(fd);
    SHOW(getpeername(fd, ADDR(name), &len));
    SHOW(bind(fd, ADDR(addr), sizeof addr));
    SHOW(connect(fd, ADDR(addr), sizeof addr));
    SHOW(shutdown(fd, 7));
    SHOW(shutdown(fd, SHUT_WR));
    int client_fd = client_of(fd);
    int conn_fd = (int)SHOW(accept(fd, NULL, NULL));
    close(client_fd);
    close(conn_fd);
    SHOW(shutdown(fd, SHUT_RD));
    SHOW(accept(fd, NULL, NULL));
    show_name(fd);
    SHOW(listen(fd, 5));
    show_name(fd);
    client_fd = client_of(fd);
    conn_fd = (int)SHOW(accept(fd, NULL, NULL));
    close(client_fd);
    close(conn_fd);
    SHOW(shutdown(fd, SHUT_RDWR));
    SHOW(accept(fd, NULL, NULL));
    SHOW(close(fd));
}

static void names(void)
{
    struct sockaddr_storage name;
    int fd = inet_listener();
    socklen_t len;

    puts("getsockname, arguments");
    for (socklen_t room = 0; room <= 128; room += room < 4 ? 1 : 12) {
        memset(&name, UNTOUCHED, sizeof name);
        len = room;
        SHOW(getsockname(fd, ADDR(name), &len));
        show_address("name", &name, len, room);
    }
    len = (socklen_t)-1;
    SHOW(getsockname(fd, ADDR(name), &len));
    len = sizeof name;
    SHOW(getsockname(fd, BAD, &len));
    SHOW(getsockname(fd, ADDR(name), BAD));
    SHOW(getsockname(fd, ADDR(name), NULL));
    SHOW(getsockname(-1, ADDR(name), &len));
    SHOW(getsockname(0, ADDR(name), &len));
    SHOW(getpeername(fd, ADDR(name), &len));
    SHOW(getpeername(fd, BAD, &len));
    close(fd);
}

static void bind_and_connect(void)
{
    struct sockaddr_in addr = inet_address(port + 1);
    struct sockaddr_in target = inet_address(port);
    int fd = inet_listener();
    int client_fd = inet_socket();

    puts("bind and connect");
    SHOW(bind(client_fd, ADDR(addr), sizeof addr));
    show_name(client_fd);
    SHOW(connect(client_fd, ADDR(target), sizeof target));
    show_name(client_fd);
    SHOW(connect(client_fd, ADDR(target), sizeof target));
    wait_readable(fd);
    struct sockaddr_storage peer;
    socklen_t len = sizeof peer;
    int conn_fd = (int)SHOW(accept(fd, ADDR(peer), &len));
    show_address("peer", &peer, len, sizeof peer);
    show_name(conn_fd);
    SHOW(listen(client_fd, 1));
    close(conn_fd);
    close(client_fd);
    close(fd);
}

static void six(void)
{
    struct sockaddr_in6 addr = {.sin6_family = AF_INET6,
                                .sin6_port = htons((uint16_t)(port + 2)),
                                .sin6_addr = in6addr_any};
    struct sockaddr_storage peer;
    int off = 0;
    int value;
    socklen_t len = sizeof value;
    int fd = socket(AF_INET6, SOCK_STREAM, 0);

    puts("IPv6");
    int one = 1;
    SHOW(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one));
    SHOW(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off));
    SHOW(bind(fd, ADDR(addr), 23));
    SHOW(bind(fd, ADDR(addr), sizeof addr));
    SHOW(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off));
    SHOW(getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &value, &len));
    show_name(fd);
    SHOW(listen(fd, 5));
    show_name(fd);
    struct sockaddr_in target = inet_address(port + 2);
    int client_fd = socket(AF_INET, SOCK_STREAM, 0);
    SHOW(connect(client_fd, ADDR(target), sizeof target));
    wait_readable(fd);
    len = sizeof peer;
    int conn_fd = (int)SHOW(accept(fd, ADDR(peer), &len));
    show_address("peer", &peer, len, sizeof peer);
    close(conn_fd);
    close(client_fd);
    close(fd);
}

void cases_names(void)
{
    bind_errors();
    bind_taken();
    listen_states();
    names();
    bind_and_connect();
    six();
}
