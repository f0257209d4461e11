/* test_deputy.c - broker/base/process/deputy.c: a deputy that is killed between what it did and its
 * answer.
 */
#include "broker/base/process/deputy.h"

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit.h"

static pid_t broker;
static bool deputy_dies; /* as it answers */
static int begun[2];

/* The deputy's own, in place of the C library's. */
ssize_t send(int fd, const void *bytes, size_t size, int flags)
{
    if (deputy_dies && getpid() != broker)
        raise(SIGKILL);
    return sendto(fd, bytes, size, flags, NULL, 0);
}

static void run(const void *order)
{
    (void)order;
    CHECK(write(begun[1], "x", 1) == 1);
    _exit(0);
}

/* How many have begun. */
static int count_begun(void)
{
    char bytes[8];
    struct pollfd ready = {.fd = begun[0], .events = POLLIN};

    return poll(&ready, 1, 0) == 1 ? (int)read(begun[0], bytes, sizeof bytes) : 0;
}

static void begin(bool dies)
{
    broker = getpid();
    deputy_dies = dies;
    CHECK(pipe(begun) == 0);
    deputy_set(DEPUTY_WORKER, run);
}

static void check_one_begun(pid_t pid)
{
    CHECK(pid > 0 && waitpid(pid, NULL, 0) == pid);
    while (waitpid(-1, NULL, WNOHANG) > 0)
        ;
    CHECK(count_begun() == 1);
}

static void test_answer(void)
{
    begin(false);
    check_one_begun(deputy_fork(DEPUTY_WORKER, NULL, 0));
    deputy_end();
}

static void test_killed(void)
{
    begin(true);
    pid_t pid = deputy_fork(DEPUTY_WORKER, NULL, 0);
    deputy_end();
    check_one_begun(pid);
}

int main(void)
{
    unit_run("what it has forked is a child of ours", test_answer);
    unit_run("killed before it says so, it has forked once, and we know what", test_killed);
    return unit_end();
}
