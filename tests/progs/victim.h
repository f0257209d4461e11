/*
 * victim.h - what the small victim servers have in common: sockets, one answer per connection, and
 * a table of modes. Each program is `victim_x MODE PORT [ARGUMENT]`.
 *
 * The answer to a line is "SLOT PEER-PORT how\n", where PEER-PORT is what accept() told, and how
 * is "ok" or what is wrong with the connection.
 */
#ifndef TESTS_VICTIM_H
#define TESTS_VICTIM_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct victim_mode {
    const char *name;
    void (*run)(int port, const char *argument);
};

static inline void fail(const char *what)
{
    fprintf(stderr, "victim: %s: %s\n", what, strerror(errno));
    _exit(9);
}

#define MUST(call)                                                                                 \
    ({                                                                                             \
        __typeof__(call) result_ = (call);                                                         \
        if (result_ < 0)                                                                           \
            fail(#call);                                                                           \
        result_;                                                                                   \
    })

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "victim: line %d: not true: %s (errno %d)\n", __LINE__, #condition,    \
                    errno);                                                                        \
            _exit(9);                                                                              \
        }                                                                                          \
    } while (0)

static inline struct sockaddr_in loopback(int port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static inline int make_socket(void)
{
    int one = 1;
    int fd = MUST(socket(AF_INET, SOCK_STREAM, 0));
    MUST(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one));
    return fd;
}

static inline int try_bind(int fd, int port)
{
    struct sockaddr_in addr = loopback(port);
    return bind(fd, (struct sockaddr *)&addr, sizeof addr);
}

static inline int make_bound(int port)
{
    int fd = make_socket();
    MUST(try_bind(fd, port));
    return fd;
}

static inline int make_listener(int port)
{
    int fd = make_bound(port);
    MUST(listen(fd, 64));
    return fd;
}

static inline int port_of(const struct sockaddr_storage *addr)
{
    if (addr->ss_family == AF_INET)
        return ntohs(((const struct sockaddr_in *)addr)->sin_port);
    if (addr->ss_family == AF_INET6)
        return ntohs(((const struct sockaddr_in6 *)addr)->sin6_port);
    return 0;
}

static inline const char *slot_name(void)
{
    const char *slot = getenv("SSHIM_WORKER_ID");
    return slot ? slot : "none";
}

/* Reads a line, answers it, closes. */
static inline void answer_line(int conn_fd, const struct sockaddr_storage *peer, const char *slot)
{
    char line[128];
    struct sockaddr_storage real = {0};
    socklen_t len = sizeof real;
    const char *how = "ok";

    if (fcntl(conn_fd, F_GETFL) & O_NONBLOCK)
        poll(&(struct pollfd){.fd = conn_fd, .events = POLLIN}, 1, 5000);
    ssize_t got;
    do
        got = read(conn_fd, line, sizeof line);
    while (got < 0 && errno == EINTR);
    if (got <= 0) {
        close(conn_fd);
        return;
    }
    if (getpeername(conn_fd, (struct sockaddr *)&real, &len) < 0)
        how = "no-peer-name";
    else if (peer && (peer->ss_family != real.ss_family || port_of(peer) != port_of(&real)))
        how = "wrong-peer";
    int size = snprintf(line, sizeof line, "%s %d %s\n", slot, port_of(peer ? peer : &real), how);
    if (write(conn_fd, line, (size_t)size) != size)
        perror("victim: write");
    close(conn_fd);
}

/* The signals and cancellations that a test sends are meant for accept, not for its client. */
static inline void answer_as(int conn_fd, const struct sockaddr_storage *peer, const char *slot)
{
    int state;

    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
    answer_line(conn_fd, peer, slot);
    pthread_setcancelstate(state, NULL);
}

static inline void answer(int conn_fd, const struct sockaddr_storage *peer)
{
    answer_as(conn_fd, peer, slot_name());
}

static inline int accept_one(int fd, struct sockaddr_storage *peer)
{
    socklen_t len = sizeof *peer;

    memset(peer, 0, sizeof *peer);
    return accept(fd, (struct sockaddr *)peer, &len);
}

/* Blocking accept, for ever; a fd that does not block is polled. */
static inline void serve(int fd)
{
    struct sockaddr_storage peer;

    for (;;) {
        int conn_fd = accept_one(fd, &peer);
        if (conn_fd >= 0)
            answer(conn_fd, &peer);
        else if (errno == EAGAIN)
            poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, -1);
        else if (errno != EINTR)
            fail("accept");
    }
}

static inline int run_mode(const struct victim_mode *modes, int argc, char **argv)
{
    for (; argc >= 3 && modes->name; modes++)
        if (strcmp(modes->name, argv[1]) == 0) {
            modes->run(atoi(argv[2]), argc > 3 ? argv[3] : NULL);
            return 0;
        }
    fprintf(stderr, "usage: %s MODE PORT [ARGUMENT]\n", argv[0]);
    return 2;
}

#endif
