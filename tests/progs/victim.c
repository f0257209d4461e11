/*
 * victim.c - a server that waits for connections in a way of the caller's choice. It knows nothing
 * of sshim.
 *
 *   victim MODE [OPTIONS] ADDRESS...        for MODE see the table at the end, for ADDRESS
 * netaddr.h
 *
 *   --hold         connections stay open until the client closes them (epoll modes)
 *   --delay MS     so long each connection takes to be answered
 *   --until FILE   a connection is answered when that file is there
 *   --ignore-term  SIGTERM does not end it
 *   --orphan       first forks a process that ignores SIGTERM and never ends
 *   --background   forks after listen(), the parent exits
 *   --once         ends with status 0 after the first connection
 *
 * It says "listening" when all its listeners are open. Every connection is answered by one line:
 *   pid=PID slot=SLOT peer=ADDRESS local=ADDRESS
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <unistd.h>

#include "netaddr.h"

#define LISTENERS_MAX 8

static int listen_fds[LISTENERS_MAX];
static bool is_udp[LISTENERS_MAX];
static int listen_count;
static bool hold;
static bool once;
static int delay_ms;
static const char *awaited_file; /* NULL: none */

struct client {
    int fd;
    struct sockaddr_storage peer;
    socklen_t len;
};

static void die(const char *what)
{
    fprintf(stderr, "victim: %s: %s (errno %d)\n", what, strerror(errno), errno);
    exit(1);
}

/* --- answering */

static int format_answer(char *line, size_t size, int fd, const struct sockaddr_storage *peer,
                         socklen_t len)
{
    struct sockaddr_storage local = {0};
    socklen_t local_len = sizeof local;
    char peer_text[NETADDR_TEXT_MAX];
    char local_text[NETADDR_TEXT_MAX];
    const char *slot = getenv("SSHIM_WORKER_ID");

    getsockname(fd, (struct sockaddr *)&local, &local_len);
    return snprintf(line, size, "pid=%d slot=%s peer=%s local=%s\n", (int)getpid(),
                    slot ? slot : "-", netaddr_format(peer, len, peer_text),
                    netaddr_format(&local, local_len, local_text));
}

static void answer(const struct client *client)
{
    char line[512];
    int len = format_answer(line, sizeof line, client->fd, &client->peer, client->len);

    if (delay_ms)
        usleep((useconds_t)delay_ms * 1000);
    while (awaited_file && access(awaited_file, F_OK) < 0)
        usleep(5000);
    if (write(client->fd, line, (size_t)len) != len)
        perror("victim: write");
}

static void serve(const struct client *client)
{
    answer(client);
    close(client->fd);
    if (once)
        exit(0);
}

static bool take(int fd, struct client *client, int flags)
{
    client->len = sizeof client->peer;
    if (flags)
        client->fd = accept4(fd, (struct sockaddr *)&client->peer, &client->len, flags);
    else
        client->fd = accept(fd, (struct sockaddr *)&client->peer, &client->len);
    if (client->fd < 0 && errno != EAGAIN && errno != EINTR)
        die("accept");
    return client->fd >= 0;
}

static void answer_datagram(int fd)
{
    struct sockaddr_storage peer;
    socklen_t len = sizeof peer;
    char line[512];

    if (recvfrom(fd, line, sizeof line, 0, (struct sockaddr *)&peer, &len) < 0)
        return;
    int used = format_answer(line, sizeof line, fd, &peer, len);
    sendto(fd, line, (size_t)used, 0, (struct sockaddr *)&peer, len);
}

static void serve_one(int i, int flags)
{
    struct client client;

    if (is_udp[i])
        answer_datagram(listen_fds[i]);
    else if (take(listen_fds[i], &client, flags))
        serve(&client);
}

static void set_nonblocking(void)
{
    for (int i = 0; i < listen_count; i++)
        fcntl(listen_fds[i], F_SETFL, fcntl(listen_fds[i], F_GETFL) | O_NONBLOCK);
}

/* --- ways of waiting */

static void wait_in_accept(void)
{
    for (;;)
        serve_one(0, 0);
}

static void wait_after_accept(void)
{
    struct client client;
    struct pollfd ready = {.fd = listen_fds[0], .events = POLLIN};

    set_nonblocking();
    for (;;) {
        if (take(listen_fds[0], &client, SOCK_CLOEXEC))
            serve(&client);
        else
            poll(&ready, 1, -1);
    }
}

static void wait_in_select(void)
{
    for (;;) {
        fd_set ready;
        int highest = 0;

        FD_ZERO(&ready);
        for (int i = 0; i < listen_count; i++) {
            FD_SET(listen_fds[i], &ready);
            highest = listen_fds[i] > highest ? listen_fds[i] : highest;
        }
        if (select(highest + 1, &ready, NULL, NULL, NULL) < 0)
            continue;
        for (int i = 0; i < listen_count; i++)
            if (FD_ISSET(listen_fds[i], &ready))
                serve_one(i, 0);
    }
}

static void wait_in_any_poll(int (*wait)(struct pollfd *ready, nfds_t count))
{
    struct pollfd ready[LISTENERS_MAX];

    set_nonblocking();
    for (int i = 0; i < listen_count; i++)
        ready[i] = (struct pollfd){.fd = listen_fds[i], .events = POLLIN};
    for (;;) {
        if (wait(ready, (nfds_t)listen_count) <= 0)
            continue;
        for (int i = 0; i < listen_count; i++)
            if (ready[i].revents)
                serve_one(i, SOCK_NONBLOCK);
    }
}

static int call_poll(struct pollfd *ready, nfds_t count)
{
    return poll(ready, count, 60000);
}

static int call_ppoll(struct pollfd *ready, nfds_t count)
{
    return ppoll(ready, count, NULL, NULL);
}

static void wait_in_poll(void)
{
    wait_in_any_poll(call_poll);
}

static void wait_in_ppoll(void)
{
    wait_in_any_poll(call_ppoll);
}

static void end_client(int fd)
{
    char bytes[256];
    ssize_t got = read(fd, bytes, sizeof bytes);

    if (got == 0 || (got < 0 && errno != EAGAIN))
        close(fd);
}

/* epoll's data is the listener's index, or LISTENERS_MAX + fd of a connection that is held. */
static void accept_for_epoll(int epoll_fd, int i, bool drain)
{
    struct client client;
    struct epoll_event event = {.events = EPOLLIN};

    while (take(listen_fds[i], &client, SOCK_NONBLOCK | SOCK_CLOEXEC)) {
        if (hold) {
            answer(&client);
            event.data.u32 = (uint32_t)(LISTENERS_MAX + client.fd);
            if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, client.fd, &event) < 0)
                die("epoll_ctl");
        } else {
            serve(&client);
        }
        if (!drain)
            break;
    }
}

static void wait_in_any_epoll(uint32_t flags)
{
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event;

    set_nonblocking();
    for (uint32_t i = 0; i < (uint32_t)listen_count; i++) {
        event = (struct epoll_event){.events = EPOLLIN | flags, .data.u32 = i};
        if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listen_fds[i], &event) < 0)
            die("epoll_ctl");
    }
    for (;;) {
        if (epoll_wait(epoll_fd, &event, 1, -1) < 1)
            continue;
        if (event.data.u32 >= LISTENERS_MAX) {
            end_client((int)event.data.u32 - LISTENERS_MAX);
            continue;
        }
        int i = (int)event.data.u32;
        accept_for_epoll(epoll_fd, i, flags & EPOLLET);
        event.events = EPOLLIN | flags;
        if (flags & EPOLLONESHOT)
            epoll_ctl(epoll_fd, EPOLL_CTL_MOD, listen_fds[i], &event);
    }
}

static void wait_in_epoll(void)
{
    wait_in_any_epoll(0);
}

static void wait_in_epoll_edge(void)
{
    wait_in_any_epoll(EPOLLET);
}

static void wait_in_epoll_oneshot(void)
{
    wait_in_any_epoll(EPOLLONESHOT);
}

static void wait_in_epoll_exclusive(void)
{
    wait_in_any_epoll(EPOLLEXCLUSIVE);
}

/* --- threads and processes */

static sem_t is_readable, is_accepted;

static void *poll_only(void *unused)
{
    struct pollfd ready = {.fd = listen_fds[0], .events = POLLIN};

    for (;;) {
        if (poll(&ready, 1, -1) < 1)
            continue;
        sem_post(&is_readable);
        sem_wait(&is_accepted);
    }
    return unused;
}

/* One thread polls, another accepts. */
static void wait_apart(void)
{
    pthread_t thread;

    set_nonblocking();
    sem_init(&is_readable, 0, 0);
    sem_init(&is_accepted, 0, 0);
    pthread_create(&thread, NULL, poll_only, NULL);
    for (;;) {
        sem_wait(&is_readable);
        serve_one(0, 0);
        sem_post(&is_accepted);
    }
}

static void *accept_for_ever(void *unused)
{
    wait_in_accept();
    return unused;
}

static void wait_in_threads(void)
{
    pthread_t thread;

    for (int i = 0; i < 3; i++)
        pthread_create(&thread, NULL, accept_for_ever, NULL);
    wait_in_accept();
}

static void *serve_in_thread(void *argument)
{
    serve(argument);
    free(argument);
    return NULL;
}

static void thread_per_connection(void)
{
    pthread_t thread;

    for (;;) {
        struct client *client = malloc(sizeof *client);
        if (!take(listen_fds[0], client, SOCK_CLOEXEC)) {
            free(client);
            continue;
        }
        pthread_create(&thread, NULL, serve_in_thread, client);
        pthread_detach(thread);
    }
}

static void fork_per_connection(void)
{
    struct client client;

    signal(SIGCHLD, SIG_IGN);
    for (;;) {
        if (!take(listen_fds[0], &client, 0))
            continue;
        if (fork() == 0) {
            for (int i = 0; i < listen_count; i++)
                close(listen_fds[i]);
            serve(&client);
            _exit(0);
        }
        close(client.fd);
    }
}

static void prefork(void)
{
    for (int i = 0; i < 2; i++)
        if (fork() == 0)
            wait_in_accept();
    for (;;)
        pause();
}

/* The connection on 0, 1 and 2 of another program. */
static void exec_per_connection(void)
{
    struct client client;

    signal(SIGCHLD, SIG_IGN);
    for (;;) {
        if (!take(listen_fds[0], &client, SOCK_CLOEXEC))
            continue;
        if (fork() == 0) {
            for (int fd = 0; fd < 3; fd++)
                dup2(client.fd, fd);
            execl("/proc/self/exe", "victim", "answer-stdin", NULL);
            _exit(127);
        }
        close(client.fd);
    }
}

static int answer_stdin(void)
{
    struct client client = {.fd = 0, .len = sizeof client.peer};

    if (getpeername(0, (struct sockaddr *)&client.peer, &client.len) < 0)
        die("getpeername");
    answer(&client);
    return 0;
}

/* --- starting */

static void open_listener(const char *text)
{
    struct netaddr addr;
    int on = 1;

    if (!netaddr_parse(&addr, text) || listen_count == LISTENERS_MAX) {
        fprintf(stderr, "victim: bad address %s\n", text);
        exit(2);
    }
    int fd = socket(addr.storage.ss_family, addr.type, 0);
    if (fd < 0)
        die("socket");
    if (addr.v6only)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (text[0] == '/')
        unlink(text);
    if (bind(fd, (struct sockaddr *)&addr.storage, addr.len) < 0)
        die(text);
    if (addr.type == SOCK_STREAM && listen(fd, 128) < 0)
        die("listen");
    is_udp[listen_count] = addr.type == SOCK_DGRAM;
    listen_fds[listen_count++] = fd;
}

static void leave_orphan(void)
{
    if (fork() != 0)
        return;
    signal(SIGTERM, SIG_IGN);
    for (;;)
        pause();
}

static const struct {
    const char *name;
    void (*run)(void);
} modes[] = {
    {"accept", wait_in_accept},
    {"accept-first", wait_after_accept},
    {"select", wait_in_select},
    {"poll", wait_in_poll},
    {"ppoll", wait_in_ppoll},
    {"epoll", wait_in_epoll},
    {"epoll-edge", wait_in_epoll_edge},
    {"epoll-oneshot", wait_in_epoll_oneshot},
    {"epoll-exclusive", wait_in_epoll_exclusive},
    {"poll-apart", wait_apart},
    {"threads", wait_in_threads},
    {"thread-per", thread_per_connection},
    {"fork-per", fork_per_connection},
    {"exec-per", exec_per_connection},
    {"prefork", prefork},
};

static void run_mode(const char *name)
{
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++)
        if (strcmp(name, modes[i].name) == 0)
            modes[i].run();
    fprintf(stderr, "victim: no mode %s\n", name);
    exit(2);
}

int main(int argc, char **argv)
{
    bool background = false;

    if (argc > 1 && strcmp(argv[1], "answer-stdin") == 0)
        return answer_stdin();
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--hold") == 0)
            hold = true;
        else if (strcmp(argv[i], "--once") == 0)
            once = true;
        else if (strcmp(argv[i], "--delay") == 0 && i + 1 < argc)
            delay_ms = atoi(argv[++i]);
        else if (strcmp(argv[i], "--until") == 0 && i + 1 < argc)
            awaited_file = argv[++i];
        else if (strcmp(argv[i], "--ignore-term") == 0)
            signal(SIGTERM, SIG_IGN);
        else if (strcmp(argv[i], "--orphan") == 0)
            leave_orphan();
        else if (strcmp(argv[i], "--background") == 0)
            background = true;
        else
            open_listener(argv[i]);
    }
    if (listen_count == 0) {
        fputs("usage: victim MODE [OPTIONS] ADDRESS...\n", stderr);
        return 2;
    }
    if (background && fork() != 0)
        return 0;
    if (write(STDOUT_FILENO, "listening\n", 10) < 0)
        perror("victim: write");
    run_mode(argv[1]);
}
