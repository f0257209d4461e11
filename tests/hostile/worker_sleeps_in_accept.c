/*
 * A worker makes the broker sleep in accept4(2): it claims an address of its own, clears O_NONBLOCK
 * on the socket that both share, connects to itself over and over, and takes the connections away
 * before the broker comes to them. With any argument it only connects, as a worker with clients of
 * its own does: what both cost is no harm.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/mman.h>

#include "hostile.h"
#include "proto/scoreboard.h"

static struct sockaddr_un name = {.sun_family = AF_UNIX};
static socklen_t name_len;
static struct hostile_share share;
static struct board *board;
static bool harms;

static void *take_away(void *unused)
{
    for (;;) {
        int fd = accept4(share.shadow_fd, NULL, NULL, 0);
        if (fd >= 0)
            close(fd);
    }
    return unused;
}

static void *connect_to_itself(void *unused)
{
    for (;;) {
        int fd = socket(AF_UNIX, SOCK_STREAM, 0);
        connect(fd, (struct sockaddr *)&name, name_len);
        close(fd);
        if (harms)
            fcntl(share.shadow_fd, F_SETFL, 0);
    }
    return unused;
}

/* What it is sent it takes and counts: an idle worker, to the broker. */
static void be_idle(void)
{
    char bytes[sizeof(struct wire_offer)];
    int fd;

    while (fdpass_recv(share.channel_fd, bytes, sizeof bytes, &fd, 0, NULL) > 0) {
        if (fd >= 0)
            close(fd);
        atomic_fetch_add(&board->worker.taken, 1);
        atomic_fetch_add(&board->worker.closed, 1);
        atomic_fetch_add(&board->worker.waits, 1);
    }
}

int main(int argc, char **argv)
{
    struct wire_listen listens = {.head = WIRE_HEAD(WIRE_LISTEN), .backlog = 4096};
    pthread_t thread;

    (void)argv;
    harms = argc == 1;
    name_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
                           (size_t)snprintf(name.sun_path + 1, 90, "hostile%d", (int)getpid()));
    share = hostile_claim(hostile_knock(), &name, name_len, socket(AF_UNIX, SOCK_STREAM, 0));
    if (listen(share.shadow_fd, 4096) < 0)
        die("listen");
    board = mmap(NULL, BOARD_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, share.board_fd, 0);
    if (board == MAP_FAILED)
        die("mmap");
    atomic_store(&board->worker.waiting, 1);
    atomic_store(&board->worker.waits, 1);
    fdpass_send(share.channel_fd, &listens, sizeof listens, -1, 0);
    if (harms)
        fcntl(share.shadow_fd, F_SETFL, 0);
    puts("attacks");
    fflush(stdout);
    for (int i = 0; harms && i < 3; i++)
        pthread_create(&thread, NULL, take_away, NULL);
    for (int i = 0; i < 2; i++)
        pthread_create(&thread, NULL, connect_to_itself, NULL);
    be_idle();
    return 0;
}
