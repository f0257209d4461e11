/*
 * turns.c - how long a broker's loop takes for a turn, seen from outside: works or sleeps in a
 * call. Not counted is what it waited for a processor, which a busy machine makes any length
 * (run_delay of /proc/PID/schedstat). The kernel adds a wait only when it is over, so a turn is
 * judged after its end, and the wait that has become known by then is taken off.
 *
 *   turns PID LIMIT_MS   looks every 2 ms until TERM, or until the broker has ended; prints
 *                        "longest LONGEST ms, OVER over LIMIT_MS ms"
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "broker/base/journal.h"

#define LOOK_NS 2000000

static volatile sig_atomic_t ends;

static void on_term(int number)
{
    (void)number;
    ends = 1;
}

static bool look_at_journal(int pid)
{
    char path[300];
    char name[64];
    struct dirent *entry;

    snprintf(path, sizeof path, "/proc/%d/fd", pid);
    DIR *dir = opendir(path);
    int fd = -1;

    while (fd < 0 && dir && (entry = readdir(dir)) != NULL) {
        ssize_t len = readlinkat(dirfd(dir), entry->d_name, name, sizeof name - 1);
        name[len < 0 ? 0 : len] = '\0';
        if (strncmp(name, "/memfd:sshim-journal", 20) != 0)
            continue;
        snprintf(path, sizeof path, "/proc/%d/fd/%s", pid, entry->d_name);
        fd = open(path, O_RDONLY);
    }
    if (dir)
        closedir(dir);
    return fd >= 0 && journal_look(fd) == 0;
}

static int64_t now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

struct sample {
    int64_t now_us;
    int64_t waited_us; /* for a processor, as far as those waits are over */
};

/* False: the broker has ended. */
static bool take_sample(int schedstat_fd, struct sample *sample)
{
    char text[128];
    unsigned long long ran, waited;
    ssize_t len = pread(schedstat_fd, text, sizeof text - 1, 0);

    if (len <= 0)
        return false;
    text[len] = '\0';
    if (sscanf(text, "%llu %llu", &ran, &waited) != 2)
        return false;
    *sample = (struct sample){now_us(), (int64_t)(waited / 1000)};
    return true;
}

struct tally {
    int64_t limit_us;
    int64_t longest_us;
    unsigned over;
};

static void judge(struct tally *tally, int64_t turn_us)
{
    tally->over += turn_us > tally->limit_us;
    tally->longest_us = turn_us > tally->longest_us ? turn_us : tally->longest_us;
}

static void look_until_end(int schedstat_fd, struct tally *tally)
{
    const struct timespec pause = {.tv_nsec = LOOK_NS};
    struct sample before = {0}, after;
    int64_t turn_us = 0;
    uint64_t seen = 0;

    while (!ends && take_sample(schedstat_fd, &after)) {
        uint64_t turn = *journal_live.turn;
        int64_t waited_us = after.waited_us - before.waited_us;
        if ((turn & 1) && turn == seen) {
            turn_us += after.now_us - before.now_us - waited_us;
        } else {
            judge(tally, turn_us - waited_us);
            turn_us = 0;
        }
        before = after;
        seen = turn;
        nanosleep(&pause, NULL);
    }
    judge(tally, turn_us);
}

int main(int argc, char **argv)
{
    struct tally tally = {0};
    char path[64];

    if (argc != 3 || !look_at_journal(atoi(argv[1])))
        return 2;
    tally.limit_us = atoi(argv[2]) * 1000;
    snprintf(path, sizeof path, "/proc/%s/schedstat", argv[1]);
    int fd = open(path, O_RDONLY);
    signal(SIGTERM, on_term);
    puts("looks");
    fflush(stdout);
    look_until_end(fd, &tally);
    printf("longest %d ms, %u over %s ms\n", (int)(tally.longest_us / 1000), tally.over, argv[2]);
    return 0;
}
