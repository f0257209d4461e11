/*
 * probe.c - a client that checks what victim.c answers.
 *
 *   probe [-n COUNT] [--hold] ADDRESS   makes COUNT connections one after the other and prints each
 *                                       answer, with " ok" or " WRONG" at its end: whether the peer
 *                                       is the address this client has. With --hold all of them
 * stay open until the probe is killed; it says "held" when they are. probe --free-port prints a
 * port that is free on every local address
 *
 * Exit status 0 when every connection was answered and right.
 */
#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "netaddr.h"

#define ANSWER_TIMEOUT_S 20

static int fail(const char *what)
{
    printf("%s: %s (errno %d)\n", what, strerror(errno), errno);
    return -1;
}

/* Below the range from which connecting sockets get theirs, so that none takes it meanwhile. */
static int print_free_port(void)
{
    srandom((unsigned)getpid() ^ (unsigned)time(NULL) << 8);
    for (int i = 0; i < 1000; i++) {
        struct sockaddr_in6 any = {.sin6_family = AF_INET6};
        int fd = socket(AF_INET6, SOCK_STREAM, 0);

        any.sin6_port = htons((in_port_t)(10000 + random() % 22000));
        int result = bind(fd, (struct sockaddr *)&any, sizeof any);
        close(fd);
        if (result == 0) {
            printf("%d\n", ntohs(any.sin6_port));
            return 0;
        }
    }
    return 1;
}

/* A client of an AF_UNIX socket has no name unless it takes one. */
static void take_name(int fd)
{
    static int count;
    struct netaddr own;
    char text[64];

    snprintf(text, sizeof text, "@probe-%d-%d", (int)getpid(), count++);
    netaddr_parse(&own, text);
    bind(fd, (struct sockaddr *)&own.storage, own.len);
}

static int open_connection(const struct netaddr *addr)
{
    struct timeval timeout = {.tv_sec = ANSWER_TIMEOUT_S};
    int fd = socket(addr->storage.ss_family, addr->type, 0);

    if (fd < 0)
        return fail("socket");
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    if (addr->storage.ss_family == AF_UNIX)
        take_name(fd);
    if (connect(fd, (const struct sockaddr *)&addr->storage, addr->len) < 0) {
        fail("connect");
        close(fd);
        return -1;
    }
    if (addr->type == SOCK_DGRAM && send(fd, "?", 1, 0) != 1)
        fail("send");
    return fd;
}

/* Reads one line. */
static bool read_answer(int fd, char *line, size_t size)
{
    size_t used = 0;

    while (used + 1 < size) {
        ssize_t got = recv(fd, line + used, size - 1 - used, 0);
        if (got <= 0) {
            if (got == 0)
                puts("no answer: end of file");
            else
                fail("no answer");
            return false;
        }
        used += (size_t)got;
        if (line[used - 1] == '\n')
            break;
    }
    line[used - 1] = '\0';
    return true;
}

static bool is_right(int fd, const char *line)
{
    struct sockaddr_storage own = {0};
    socklen_t len = sizeof own;
    char text[NETADDR_TEXT_MAX];
    char expected[NETADDR_TEXT_MAX + 8];

    getsockname(fd, (struct sockaddr *)&own, &len);
    snprintf(expected, sizeof expected, " peer=%s ", netaddr_format(&own, len, text));
    return strstr(line, expected) != NULL;
}

static bool probe_once(const struct netaddr *addr, bool hold)
{
    char line[512];
    int fd = open_connection(addr);

    if (fd < 0)
        return false;
    bool right = read_answer(fd, line, sizeof line);
    if (right) {
        right = is_right(fd, line);
        printf("%s %s\n", line, right ? "ok" : "WRONG");
    }
    if (!hold)
        close(fd);
    return right;
}

static void raise_fd_limit(void)
{
    struct rlimit limit;

    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

int main(int argc, char **argv)
{
    struct netaddr addr;
    int count = 1;
    bool hold = false;
    bool right = true;

    for (int i = 1; i < argc - 1; i++) {
        if (strcmp(argv[i], "-n") == 0)
            count = atoi(argv[++i]);
        else if (strcmp(argv[i], "--hold") == 0)
            hold = true;
    }
    if (argc == 2 && strcmp(argv[1], "--free-port") == 0)
        return print_free_port();
    if (argc < 2 || !netaddr_parse(&addr, argv[argc - 1])) {
        fputs("usage: probe [-n COUNT] [--hold] ADDRESS | --free-port\n", stderr);
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGPIPE, SIG_IGN);
    raise_fd_limit();
    for (int i = 0; i < count; i++)
        right = probe_once(&addr, hold) && right;
    if (hold) {
        puts("held");
        for (;;)
            pause();
    }
    return right ? 0 : 1;
}
