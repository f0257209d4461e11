/* test_sink.c - broker/base/log/sink.c on a terminal that other processes write to. */
#include <fcntl.h>
#include <pty.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/base/log/sink.h"
#include "unit.h"

#define WRITERS 2
#define LOSSES 30 /* of a sink that does not wait: enough to compare with */
#define ROUNDS 5  /* a reader that falls behind spoils some */

static const char line[] = "a line\n";
static int reader_fd;
static int terminal_fd;

static void *read_all(void *unused)
{
    char buffer[65536];

    while (read(reader_fd, buffer, sizeof buffer) > 0)
        ;
    return unused;
}

/* Has the lock of the terminal now and then, and never fills it. */
static pid_t start_writer(void)
{
    char much[500];
    pid_t pid = fork();

    if (pid)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    memset(much, 'x', sizeof much);
    while (write(terminal_fd, much, sizeof much) > 0)
        usleep(1000);
    _exit(0);
}

/* Both in turn, so that both meet the same terminal. */
static bool loses_less(struct sink *sink, struct sink *plain)
{
    int lost = 0;
    int lost_plain = 0;

    while (lost_plain < LOSSES) {
        lost += !sink_write(sink, line, strlen(line));
        lost_plain += !sink_write(plain, line, strlen(line));
        usleep(100);
    }
    return lost <= LOSSES / 2;
}

static void test_other_writers(void)
{
    pid_t writers[WRITERS];
    pthread_t reader;
    struct sink sink;
    bool is_well = false;

    CHECK(openpty(&reader_fd, &terminal_fd, NULL, NULL, NULL) == 0);
    for (int i = 0; i < WRITERS; i++)
        writers[i] = start_writer();
    CHECK(pthread_create(&reader, NULL, read_all, NULL) == 0);
    sink_open_standard(&sink, terminal_fd);
    struct sink plain = {.fd = sink.fd};
    for (int round = 0; round < ROUNDS && !is_well; round++)
        is_well = loses_less(&sink, &plain);
    CHECK(is_well);
    for (int i = 0; i < WRITERS; i++) {
        kill(writers[i], SIGKILL);
        waitpid(writers[i], NULL, 0);
    }
    close(sink.fd);
    close(terminal_fd);
    pthread_join(reader, NULL);
    close(reader_fd);
}

/* The reader does nothing: no more than one line waits. */
static void test_stopped(void)
{
    struct sink sink;

    CHECK(openpty(&reader_fd, &terminal_fd, NULL, NULL, NULL) == 0);
    sink_open_standard(&sink, terminal_fd);
    while (sink_write(&sink, line, strlen(line)))
        ;
    CHECK(sink.is_stopped);
    close(reader_fd);
    close(sink.fd);
    close(terminal_fd);
}

int main(void)
{
    unit_run("a terminal that others write to takes lines", test_other_writers);
    unit_run("a terminal that takes no line is not waited for twice", test_stopped);
    return unit_end();
}
