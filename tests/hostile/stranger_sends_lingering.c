/*
 * stranger_sends_lingering COUNT - a local user who is no worker sends the broker TCP connections
 * whose last close sleeps: SO_LINGER, and data that the peer does not read. $SSHIM_RENDEZVOUS
 * tells where the broker is. The socket that each came with is kept here, unread.
 */
#include <netinet/in.h>
#include <sys/wait.h>

#include "hostile.h"

/* Answered by nobody: full of data that waits. */
static int make_lingering(const struct sockaddr_in *where)
{
    static const char data[65536];
    struct linger linger = {1, 15};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (connect(fd, (const struct sockaddr *)where, sizeof *where) < 0)
        die("connect");
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    while (send(fd, data, sizeof data, MSG_DONTWAIT) > 0)
        ;
    return fd;
}

/* In turn: noise, something that looks like a claim, nothing but the descriptor. */
static void send_one(int number, const struct sockaddr_in *where)
{
    struct wire_claim claim = {.head = WIRE_HEAD(WIRE_CLAIM), .address.len_bytes = 16};
    static const size_t sizes[] = {1, sizeof claim, 0};

    fdpass_send(hostile_knock(), &claim, sizes[number % 3], make_lingering(where), 0);
    _exit(0); /* a process that ends does not linger itself */
}

int main(int argc, char **argv)
{
    int count = argc > 1 ? atoi(argv[1]) : 1;
    struct sockaddr_in where = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof where;
    int listening = socket(AF_INET, SOCK_STREAM, 0);

    if (getuid() == 0 && (setgid(65534) < 0 || setuid(65534) < 0))
        die("setuid");
    if (bind(listening, (struct sockaddr *)&where, len) < 0 || listen(listening, 16) < 0 ||
        getsockname(listening, (struct sockaddr *)&where, &len) < 0)
        die("listen");
    puts("attacks");
    fflush(stdout);
    for (int i = 0; i < count; i++) {
        if (fork() == 0)
            send_one(i, &where);
        accept(listening, NULL, NULL);
        wait(NULL);
    }
    puts("done");
    return 0;
}
