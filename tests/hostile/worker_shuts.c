/*
 * A worker shuts the socket that all share, over and over: it claims the address of an honest
 * server, listens, takes nothing of what it is sent, and from when the file GO exists it calls
 * shutdown(2) on the canonical socket for SECONDS.
 *
 * worker_shuts IP PORT GO SECONDS [skilful]
 *
 * skilful: first it shuts the socket, and then only while it does not listen, which leaves a mark
 * that a socket which listens again hands on to its connections.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <time.h>

#include "hostile.h"

static double now_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static bool is_listening(int fd)
{
    int on = 0;
    socklen_t len = sizeof on;

    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &len) == 0 && on;
}

int main(int argc, char **argv)
{
    struct sockaddr_in name = {.sin_family = AF_INET};
    struct wire_listen listens = {.head = WIRE_HEAD(WIRE_LISTEN), .backlog = 4096};
    struct hostile_share share;

    bool skilful = argc == 6;
    int on = 1;

    if (argc < 5)
        return 2;
    inet_pton(AF_INET, argv[1], &name.sin_addr);
    name.sin_port = htons((in_port_t)atoi(argv[2]));
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on); /* as its server does */
    share = hostile_claim(hostile_knock(), &name, sizeof name, fd);
    if (listen(share.shadow_fd, 4096) < 0)
        die("listen");
    fdpass_send(share.channel_fd, &listens, sizeof listens, -1, 0);
    while (access(argv[3], F_OK) < 0)
        usleep(20000);
    puts("attacks");
    fflush(stdout);
    shutdown(share.shadow_fd, SHUT_RDWR);
    for (double end_s = now_s() + atof(argv[4]); now_s() < end_s;)
        if (!skilful || !is_listening(share.shadow_fd))
            shutdown(share.shadow_fd, SHUT_RDWR);
    puts("attack over");
    fflush(stdout);
    for (;;)
        pause();
}
