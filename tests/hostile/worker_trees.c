/*
 * worker_trees wide|deep|orphans COUNT - a worker that has COUNT processes: all its children, or
 * each a child of the one before, or given to the broker by the end of their parents and deaf to
 * TERM. In the first two it claims an address over and over that it has already, as nobody but the
 * scoreboard says: so the broker looks for the process that holds it.
 */
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "hostile.h"
#include "proto/scoreboard.h"

#define CLAIMS 50

static _Noreturn void stay(void)
{
    for (;;)
        pause();
}

static pid_t must_fork(void)
{
    pid_t pid = fork();

    if (pid < 0)
        die("fork");
    return pid;
}

static void grow_wide(int count)
{
    while (count-- > 0)
        if (must_fork() == 0)
            stay();
}

/* Executed anew each time: fork(2) is slower and slower in the child of a child of a child. The
 * last one tells. */
static _Noreturn void grow_deeper(int count, int told_fd)
{
    char left[16], fd[16];

    if (count == 0 && write(told_fd, "x", 1) < 0)
        die("write");
    if (count == 0 || must_fork() != 0)
        stay();
    snprintf(left, sizeof left, "%d", count - 1);
    snprintf(fd, sizeof fd, "%d", told_fd);
    execl("/proc/self/exe", "worker_trees", "deeper", left, fd, NULL);
    die("exec");
    stay();
}

static void grow_deep(int count)
{
    int ends[2];
    char byte;

    if (pipe(ends) < 0)
        die("pipe");
    if (must_fork() == 0)
        grow_deeper(count, ends[1]);
    if (read(ends[0], &byte, 1) != 1)
        die("read");
}

static void grow_orphans(int count)
{
    signal(SIGTERM, SIG_IGN);
    for (int i = 0; i < count; i++) {
        if (must_fork() == 0) {
            if (must_fork() == 0)
                stay();
            _exit(0);
        }
        wait(NULL);
    }
}

static void claim_again_and_again(void)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    struct wire_claim claim = {.head = WIRE_HEAD(WIRE_CLAIM), .auth = hostile_auth()};
    struct wire_grant grant;

    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
                                (size_t)snprintf(name.sun_path + 1, 90, "tree%d", (int)getpid()));
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    struct hostile_share share = hostile_claim(hostile_knock(), &name, len, fd);
    close(share.channel_fd);
    puts("attacks");
    fflush(stdout);
    memcpy(claim.address.bytes, &name, claim.address.len_bytes = len);
    for (int i = 0; i < CLAIMS; i++) {
        int link_fd = hostile_knock();
        int came;
        if (fdpass_send(link_fd, &claim, sizeof claim, fd, 0) < 0 ||
            fdpass_recv(link_fd, &grant, sizeof grant, &came, 0, NULL) != sizeof grant ||
            grant.verdict != WIRE_FAILED || grant.error != EADDRINUSE)
            die("a claim was not refused");
        close(link_fd);
    }
}

int main(int argc, char **argv)
{
    int count = argc > 2 ? atoi(argv[2]) : 0;

    if (argc == 4)
        grow_deeper(count, atoi(argv[3]));
    if (!count)
        return 1;
    if (strcmp(argv[1], "wide") == 0)
        grow_wide(count);
    else if (strcmp(argv[1], "deep") == 0)
        grow_deep(count);
    else
        grow_orphans(count);
    if (strcmp(argv[1], "orphans") != 0)
        claim_again_and_again();
    puts("attacks");
    puts("done");
    fflush(stdout);
    stay();
}
