/* test_sink.c - broker/base/log/sink.c on a terminal that does not take a line at once: it is full,
 * or another process has its lock; a write cannot tell which. */
#include <fcntl.h>
#include <pty.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/base/log/sink.h"
#include "unit.h"

#define ROUNDS 20
#define ENOUGH 5 /* a busy machine may be late for the others */

static const char line[] = "a line\n";
static int reader_fd;
static int terminal_fd;

static void open_terminal(struct sink *sink)
{
    CHECK(openpty(&reader_fd, &terminal_fd, NULL, NULL, NULL) == 0);
    CHECK(fcntl(reader_fd, F_SETFL, O_NONBLOCK) == 0);
    sink_open_standard(sink, terminal_fd);
}

static void close_terminal(const struct sink *sink)
{
    close(sink->fd);
    close(terminal_fd);
    close(reader_fd);
}

/* What was in there comes in pieces. */
static void read_all(void)
{
    char buffer[4096];

    for (int empty = 0; empty < 3; empty++)
        while (read(reader_fd, buffer, sizeof buffer) > 0)
            empty = 0;
}

/* In a process of its own. */
static pid_t read_soon(void)
{
    pid_t pid = fork();

    if (pid)
        return pid;
    usleep(1000);
    read_all();
    _exit(0);
}

/* Whether a line is taken that comes a moment before there is room. */
static bool is_patient(struct sink *sink)
{
    struct sink plain = {.fd = sink->fd};

    while (sink_write(&plain, line, strlen(line)))
        ;
    pid_t reader = read_soon();
    CHECK(reader > 0);
    bool taken = sink_write(sink, line, strlen(line));
    waitpid(reader, NULL, 0);
    return taken;
}

static void test_room_comes_soon(void)
{
    struct sink sink;
    int taken = 0;

    open_terminal(&sink);
    for (int round = 0; round < ROUNDS; round++) {
        taken += is_patient(&sink);
        for (int ms = 0; ms < 10000 && !sink_write(&sink, line, strlen(line)); ms++) {
            usleep(1000);
            read_all();
        }
        CHECK(!sink.is_stopped); /* it is waited for again */
    }
    CHECK(taken >= ENOUGH);
    close_terminal(&sink);
}

/* The reader does nothing: no more than one line waits. */
static void test_stopped(void)
{
    struct sink sink;

    open_terminal(&sink);
    while (sink_write(&sink, line, strlen(line)))
        ;
    CHECK(sink.is_stopped);
    close_terminal(&sink);
}

int main(void)
{
    unit_run("a terminal that has room within a moment takes the line", test_room_comes_soon);
    unit_run("a terminal that takes no line is not waited for twice", test_stopped);
    return unit_end();
}
