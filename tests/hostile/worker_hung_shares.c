/*
 * worker_hung_shares FILE - a worker puts what it shares with the broker into an epoll set, and has
 * a thread of another process of it write the events of that set to FILE, of a file system that
 * does not answer. That thread has the mutex of the set, and whoever closes one of those files as
 * the last one waits for the mutex; no signal ends that. Then the worker leaves the last close to
 * the broker: of sockets that came with claims which are refused, of its end of a channel, of a
 * canonical socket.
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/mman.h>

#include "hostile.h"

#define REFUSED 4

static int epoll_fd;

static void add(int fd)
{
    struct epoll_event event = {.events = EPOLLIN};

    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
        die("epoll_ctl");
}

static void *hold_mutex(void *events)
{
    epoll_wait(epoll_fd, events, 1, -1);
    return NULL;
}

static _Noreturn void hold(const char *path, const int *fds, int count)
{
    pthread_t thread;
    int file_fd = open(path, O_RDONLY);
    void *events = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, file_fd, 0);

    if (file_fd < 0 || events == MAP_FAILED)
        die(path);
    for (int i = 0; i < count; i++)
        close(fds[i]);
    pthread_create(&thread, NULL, hold_mutex, events);
    for (;;)
        pause();
}

/* The name of a claim is not one. */
static void send_refused(int fd)
{
    struct wire_claim claim = {.head = WIRE_HEAD(WIRE_CLAIM), .auth = hostile_auth()};

    claim.address.len_bytes = sizeof(sa_family_t);
    fdpass_send(hostile_knock(), &claim, sizeof claim, fd, 0);
    close(fd);
}

int main(int argc, char **argv)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    struct wire_listen listens = {.head = WIRE_HEAD(WIRE_LISTEN), .backlog = 10};
    int fds[REFUSED + 3];
    int ready[2];

    if (argc < 2 || pipe(ready) < 0 || write(ready[1], "", 1) != 1)
        return 2;
    epoll_fd = epoll_create1(0);
    int socket_fd = socket(AF_UNIX, SOCK_STREAM, 0);
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
                                (size_t)snprintf(name.sun_path + 1, 90, "shares%d", (int)getpid()));
    struct hostile_share share = hostile_claim(hostile_knock(), &name, len, socket_fd);
    fds[REFUSED] = socket_fd;
    fds[REFUSED + 1] = share.channel_fd;
    fds[REFUSED + 2] = share.shadow_fd;
    for (int i = 0; i < REFUSED; i++)
        fds[i] = socket(AF_INET, SOCK_STREAM, 0);
    for (int i = 0; i < REFUSED + 3; i++)
        add(fds[i]);
    add(ready[0]);
    if (fork() == 0)
        hold(argv[1], fds, REFUSED + 3);
    sleep(1);
    listen(share.shadow_fd, 10);
    fdpass_send(share.channel_fd, &listens, sizeof listens, -1, 0);
    for (int i = 0; i < REFUSED; i++)
        send_refused(fds[i]);
    sleep(1);
    close(socket_fd);
    close(share.channel_fd);
    close(share.shadow_fd);
    puts("attacks done");
    return 1;
}
