/* victim_listen.c - servers that bind, listen, shut down and connect in uncommon orders. */
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/wait.h>

#include "victim.h"

static void twice(int port, const char *argument)
{
    int fd = make_listener(port);
    (void)argument;
    MUST(listen(fd, 5));
    MUST(listen(fd, 100));
    serve(fd);
}

/* 0, and then a number (memcached). */
static void zero_first(int port, const char *argument)
{
    int fd = make_bound(port);
    (void)argument;
    MUST(listen(fd, 0));
    MUST(listen(fd, 64));
    serve(fd);
}

static void zero_only(int port, const char *argument)
{
    int fd = make_bound(port);
    (void)argument;
    MUST(listen(fd, 0));
    serve(fd);
}

static void negative(int port, const char *argument)
{
    int fd = make_bound(port);
    (void)argument;
    MUST(listen(fd, -1));
    serve(fd);
}

static void shutdown_and_listen(int port, const char *argument)
{
    struct sockaddr_storage peer;
    int fd = make_listener(port);
    (void)argument;
    for (int i = 0; i < 5; i++) {
        MUST(shutdown(fd, i % 2 ? SHUT_RDWR : SHUT_RD));
        CHECK(accept_one(fd, &peer) < 0 && errno == EINVAL);
        MUST(listen(fd, 64));
    }
    serve(fd);
}

/* The parent is blocked in accept when somebody shuts the listener down: accept ends with EINVAL.
 */
static void shutdown_wakes(int port, const char *argument)
{
    struct sockaddr_storage peer;
    int status;
    int fd = make_listener(port);
    (void)argument;
    for (int i = 0; i < 3; i++) {
        pid_t pid = MUST(fork());
        if (pid == 0) {
            usleep(50000);
            _exit(shutdown(fd, SHUT_RD) < 0);
        }
        int conn_fd;
        while ((conn_fd = accept_one(fd, &peer)) >= 0)
            answer(conn_fd, &peer);
        CHECK(errno == EINVAL);
        MUST(waitpid(pid, &status, 0));
        CHECK(status == 0);
        MUST(listen(fd, 64));
    }
    serve(fd);
}

static void bind_then_connect(int port, const char *argument)
{
    int fd = make_listener(port);
    int client_fd = make_socket();
    struct sockaddr_in target = loopback(port);
    struct sockaddr_in name;
    socklen_t len = sizeof name;
    int source = argument ? atoi(argument) : 0;

    /* a client with a fixed source port, different in each copy */
    source += atoi(slot_name());
    MUST(try_bind(client_fd, source));
    pid_t pid = MUST(fork());
    if (pid == 0) {
        char line[128];
        int flags = fcntl(client_fd, F_GETFL);
        CHECK(!(flags & O_NONBLOCK));
        MUST(connect(client_fd, (struct sockaddr *)&target, sizeof target));
        MUST(getsockname(client_fd, (struct sockaddr *)&name, &len));
        CHECK(ntohs(name.sin_port) == source);
        CHECK(write(client_fd, "ping\n", 5) == 5);
        CHECK(read(client_fd, line, sizeof line) > 0);
        _exit(0);
    }
    close(client_fd);
    struct sockaddr_storage peer;
    int status = -1;
    while (waitpid(pid, &status, WNOHANG) == 0) {
        struct pollfd readable = {.fd = fd, .events = POLLIN};
        if (poll(&readable, 1, 10) != 1)
            continue;
        answer(MUST(accept_one(fd, &peer)), &peer);
    }
    CHECK(status == 0);
    serve(fd);
}

static void bind_twice(int port, const char *argument)
{
    int fd = make_bound(port);
    int other = make_socket();
    (void)argument;
    CHECK(try_bind(fd, port) < 0 && errno == EINVAL);
    MUST(listen(fd, 64));
    CHECK(try_bind(other, port) < 0 && errno == EADDRINUSE);
    CHECK(try_bind(other, port) < 0 && errno == EADDRINUSE);
    MUST(close(other));
    serve(fd);
}

static void bind_twice_reuseport(int port, const char *argument)
{
    int fds[2];
    int one = 1;
    (void)argument;
    for (int i = 0; i < 2; i++) {
        fds[i] = make_socket();
        MUST(setsockopt(fds[i], SOL_SOCKET, SO_REUSEPORT, &one, sizeof one));
        MUST(try_bind(fds[i], port));
        MUST(listen(fds[i], 64));
    }
    int third = make_socket();
    CHECK(try_bind(third, port) < 0 && errno == EADDRINUSE);
    MUST(close(third));
    if (MUST(fork()) == 0)
        serve(fds[0]);
    serve(fds[1]);
}

/* After each first connection a data listener is made, in a child, and used once (FTP). */
static void data_listener(int port, const char *argument)
{
    struct sockaddr_storage peer;
    int fd = make_listener(port);
    int data_port = argument ? atoi(argument) : 0;

    for (;;) {
        int conn_fd = MUST(accept_one(fd, &peer));
        if (MUST(fork()) != 0) {
            close(conn_fd);
            while (waitpid(-1, NULL, WNOHANG) > 0)
                ;
            continue;
        }
        int data_fd = make_socket();
        struct sockaddr_in name;
        socklen_t len = sizeof name;
        int number = data_port;
        /* explicit random ports, until one is free */
        while (try_bind(data_fd, number) < 0) {
            CHECK(errno == EADDRINUSE);
            CHECK(++number < data_port + 50);
        }
        MUST(listen(data_fd, 1));
        MUST(getsockname(data_fd, (struct sockaddr *)&name, &len));
        int client_fd = make_socket();
        MUST(connect(client_fd, (struct sockaddr *)&name, sizeof name));
        CHECK(write(client_fd, "ping\n", 5) == 5);
        struct sockaddr_storage data_peer;
        answer(MUST(accept_one(data_fd, &data_peer)), &data_peer);
        char line[64];
        CHECK(read(client_fd, line, sizeof line) > 0);
        answer(conn_fd, &peer);
        _exit(0);
    }
}

/* A second listener on a port of the kernel's choice is each copy's own. */
static void port_zero(int port, const char *argument)
{
    struct sockaddr_in name;
    socklen_t len = sizeof name;
    struct sockaddr_storage peer;
    (void)argument;
    int own_fd = make_listener(0);
    MUST(getsockname(own_fd, (struct sockaddr *)&name, &len));
    CHECK(name.sin_port != 0);
    int fd = make_listener(port);
    int client_fd = make_socket();
    MUST(connect(client_fd, (struct sockaddr *)&name, sizeof name));
    CHECK(write(client_fd, "ping\n", 5) == 5);
    answer(MUST(accept_one(own_fd, &peer)), &peer);
    char line[64];
    CHECK(read(client_fd, line, sizeof line) > 0);
    serve(fd);
}

/* Listens without bind: the kernel chooses. */
static void listen_unbound(int port, const char *argument)
{
    (void)argument;
    int fd = make_socket();
    int value;
    socklen_t len = sizeof value;
    MUST(listen(fd, 5));
    MUST(getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &len));
    CHECK(value == 1);
    MUST(close(fd));
    serve(make_listener(port));
}

static void dual_stack(int port, const char *argument)
{
    struct sockaddr_in6 addr = {
        .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port), .sin6_addr = in6addr_any};
    int one = 1;
    int only = argument && strcmp(argument, "v6only") == 0;
    int fd = MUST(socket(AF_INET6, SOCK_STREAM, 0));
    MUST(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one));
    MUST(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only));
    MUST(bind(fd, (struct sockaddr *)&addr, sizeof addr));
    MUST(listen(fd, 64));
    if (only) { /* the IPv4 address is still to be had */
        int fd4 = make_listener(port);
        if (MUST(fork()) == 0)
            serve(fd4);
        close(fd4);
    }
    serve(fd);
}

/* Every copy removes the path and binds. */
static void unix_path(int port, const char *path)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    struct sockaddr_un name;
    socklen_t len = sizeof name;
    (void)port;
    strcpy(addr.sun_path, path);
    if (unlink(path) < 0)
        CHECK(errno == ENOENT);
    int fd = MUST(socket(AF_UNIX, SOCK_STREAM, 0));
    MUST(bind(fd, (struct sockaddr *)&addr, sizeof addr));
    MUST(getsockname(fd, (struct sockaddr *)&name, &len));
    CHECK(strcmp(name.sun_path, path) == 0);
    MUST(listen(fd, 64));
    serve(fd);
}

/* Without removing the path first the bind fails, as ever; this copy then takes it away. */
static void unix_path_in_use(int port, const char *path)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    (void)port;
    strcpy(addr.sun_path, path);
    int other = MUST(socket(AF_UNIX, SOCK_STREAM, 0));
    int fd = MUST(socket(AF_UNIX, SOCK_STREAM, 0));
    MUST(bind(fd, (struct sockaddr *)&addr, sizeof addr));
    CHECK(bind(other, (struct sockaddr *)&addr, sizeof addr) < 0 && errno == EADDRINUSE);
    MUST(listen(fd, 64));
    CHECK(bind(other, (struct sockaddr *)&addr, sizeof addr) < 0 && errno == EADDRINUSE);
    close(other);
    serve(fd);
}

static void unix_abstract(int port, const char *name)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    (void)port;
    strcpy(addr.sun_path + 1, name);
    int fd = MUST(socket(AF_UNIX, SOCK_STREAM, 0));
    MUST(bind(fd, (struct sockaddr *)&addr,
              (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name))));
    MUST(listen(fd, 64));
    serve(fd);
}

/* Several addresses in one server. */
static void many(int port, const char *argument)
{
    struct pollfd fds[8];
    struct sockaddr_storage peer;
    int count = argument ? atoi(argument) : 8;
    for (int i = 0; i < count; i++)
        fds[i] = (struct pollfd){.fd = make_listener(port + i), .events = POLLIN};
    for (;;) {
        MUST(poll(fds, (nfds_t)count, -1));
        for (int i = 0; i < count; i++) {
            if (!fds[i].revents)
                continue;
            MUST(fcntl(fds[i].fd, F_SETFL, O_NONBLOCK));
            int conn_fd = accept_one(fds[i].fd, &peer);
            if (conn_fd >= 0)
                answer(conn_fd, &peer);
        }
    }
}

/* So many addresses on one port, from 127.0.1.1 on. */
static void crowd(int port, const char *argument)
{
    static struct pollfd fds[400];
    struct sockaddr_in addr = loopback(port);
    struct sockaddr_storage peer;
    int count = atoi(argument);

    CHECK(count <= 400);
    for (int i = 0; i < count; i++) {
        addr.sin_addr.s_addr = htonl(0x7f000101u + (unsigned)i);
        fds[i] = (struct pollfd){.fd = make_socket(), .events = POLLIN};
        MUST(bind(fds[i].fd, (struct sockaddr *)&addr, sizeof addr));
        MUST(listen(fds[i].fd, 16));
        MUST(fcntl(fds[i].fd, F_SETFL, O_NONBLOCK));
    }
    puts("all listen");
    fflush(stdout);
    for (;;) {
        MUST(poll(fds, (nfds_t)count, -1));
        for (int i = 0; i < count; i++) {
            int conn_fd = fds[i].revents ? accept_one(fds[i].fd, &peer) : -1;
            if (conn_fd >= 0)
                answer(conn_fd, &peer);
        }
    }
}

/* TCP and UDP on one number: only the first is shared, so the other is switched to share natively.
 */
static void with_udp(int port, const char *argument)
{
    int one = 1;
    (void)argument;
    int udp_fd = MUST(socket(AF_INET, SOCK_DGRAM, 0));
    MUST(setsockopt(udp_fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one));
    MUST(try_bind(udp_fd, port));
    serve(make_listener(port));
}

/* The family forgotten: to Linux 0 and 0.0.0.0 are AF_INET. */
static void family_zero(int port, const char *argument)
{
    struct sockaddr_in addr = {.sin_port = htons((uint16_t)port)};
    int fd = make_socket();

    (void)argument;
    MUST(bind(fd, (struct sockaddr *)&addr, sizeof addr));
    MUST(listen(fd, 64));
    serve(fd);
}

#define STACK_SIZE 65536
#define PAINT 0xa5
#define BIND_STACK_MAX 2048

static void *do_nothing(void *unused)
{
    return unused;
}

static void *bind_number(void *number)
{
    return (void *)(intptr_t)make_bound((int)(intptr_t)number);
}

/* How much of its stack a thread uses. */
static size_t measure_stack(void *(*run)(void *), intptr_t argument, intptr_t *result)
{
    static unsigned char stack[STACK_SIZE] __attribute__((aligned(4096)));
    pthread_attr_t attributes;
    pthread_t thread;
    void *returned;
    size_t untouched = 0;

    memset(stack, PAINT, sizeof stack);
    CHECK(pthread_attr_init(&attributes) == 0);
    CHECK(pthread_attr_setstack(&attributes, stack, sizeof stack) == 0);
    CHECK(pthread_create(&thread, &attributes, run, (void *)argument) == 0);
    CHECK(pthread_join(thread, &returned) == 0);
    *result = (intptr_t)returned;
    while (untouched < sizeof stack && stack[untouched] == PAINT)
        untouched++;
    return sizeof stack - untouched;
}

/* Threads and coroutines of some servers have a few KiB. */
static void on_small_stack(int port, const char *argument)
{
    intptr_t fd;
    (void)argument;
    CHECK(try_bind(-1, port) < 0); /* the loader needs more the first time */
    MUST(close(make_socket()));
    size_t empty = measure_stack(do_nothing, 0, &fd);
    size_t used = measure_stack(bind_number, port, &fd);
    CHECK(used < empty + BIND_STACK_MAX);
    MUST(listen((int)fd, 64));
    serve((int)fd);
}

#define LOOPS 100

/* A loop for each thread, all of which have the socket before it is bound: each hears of it. */
static void in_many_loops(int port, const char *argument)
{
    int loops[LOOPS];
    int fd = make_socket();
    struct epoll_event event = {.events = EPOLLIN};
    struct sockaddr_storage peer;
    (void)argument;
    for (int i = 0; i < LOOPS; i++) {
        loops[i] = MUST(epoll_create1(0));
        MUST(epoll_ctl(loops[i], EPOLL_CTL_ADD, fd, &event));
    }
    MUST(try_bind(fd, port));
    MUST(listen(fd, 64));
    for (int i = 0;; i = (i + 1) % LOOPS) {
        CHECK(epoll_wait(loops[i], &event, 1, -1) == 1);
        if (event.events & EPOLLIN)
            answer(MUST(accept_one(fd, &peer)), &peer);
    }
}

static const struct victim_mode modes[] = {
    {"family-0", family_zero},
    {"twice", twice},
    {"zero-first", zero_first},
    {"zero-only", zero_only},
    {"negative", negative},
    {"many-loops", in_many_loops},
    {"small-stack", on_small_stack},
    {"shutdown", shutdown_and_listen},
    {"shutdown-wakes", shutdown_wakes},
    {"connect", bind_then_connect},
    {"bind-twice", bind_twice},
    {"reuseport", bind_twice_reuseport},
    {"data", data_listener},
    {"port-zero", port_zero},
    {"unbound", listen_unbound},
    {"dual", dual_stack},
    {"path", unix_path},
    {"path-in-use", unix_path_in_use},
    {"abstract", unix_abstract},
    {"many", many},
    {"crowd", crowd},
    {"udp", with_udp},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return run_mode(modes, argc, argv);
}
