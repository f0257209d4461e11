/*
 * worker_peeks HOST PORT - a worker that listens where others do, and says that it waits, but only
 * looks at what it is offered (MSG_PEEK), so that it has a copy of the connection and the offer is
 * taken back. Into the first that it sees it writes a line.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/mman.h>

#include "hostile.h"
#include "proto/scoreboard.h"

int main(int argc, char **argv)
{
    struct sockaddr_in where = {.sin_family = AF_INET};
    struct wire_listen listens = {.head = WIRE_HEAD(WIRE_LISTEN), .backlog = 4096};
    struct wire_offer offer;
    int fd;

    if (argc < 3 || inet_pton(AF_INET, argv[1], &where.sin_addr) != 1)
        return 2;
    where.sin_port = htons((uint16_t)atoi(argv[2]));
    struct hostile_share share =
        hostile_claim(hostile_knock(), &where, sizeof where, socket(AF_INET, SOCK_STREAM, 0));
    if (listen(share.shadow_fd, 4096) < 0)
        die("listen");
    struct board *board =
        mmap(NULL, BOARD_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, share.board_fd, 0);
    if (board == MAP_FAILED)
        die("mmap");
    atomic_store(&board->worker.waiting, 1);
    atomic_store(&board->worker.waits, 1);
    fdpass_send(share.channel_fd, &listens, sizeof listens, -1, 0);
    if (fdpass_recv(share.channel_fd, &offer, sizeof offer, &fd, MSG_PEEK, NULL) <= 0 || fd < 0)
        die("no offer");
    dprintf(fd, "seen ");
    puts("attack over");
    fflush(stdout);
    for (;;)
        pause();
}
