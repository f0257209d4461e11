/*
 * turns.c - how long a broker's loop takes for a turn, seen from outside: works or sleeps in a
 * call. Not counted is what it waited for a processor, which a busy machine makes any length
 * (run_delay of /proc/PID/schedstat).
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

/* Its time so far, but for what it waited for a processor; -1: it has ended. */
static int64_t own_time_us(int schedstat_fd)
{
    char text[128];
    unsigned long long ran, waited;
    ssize_t len = pread(schedstat_fd, text, sizeof text - 1, 0);

    if (len <= 0)
        return -1;
    text[len] = '\0';
    return sscanf(text, "%llu %llu", &ran, &waited) == 2 ? now_us() - (int64_t)(waited / 1000) : -1;
}

int main(int argc, char **argv)
{
    char path[64];
    struct timespec pause = {.tv_nsec = LOOK_NS};
    uint64_t seen = 0;
    int64_t before = 0, now, turn_us = 0, longest_us = 0;
    unsigned over = 0;

    if (argc != 3 || !look_at_journal(atoi(argv[1])))
        return 2;
    int64_t limit_us = atoi(argv[2]) * 1000;
    snprintf(path, sizeof path, "/proc/%s/schedstat", argv[1]);
    int fd = open(path, O_RDONLY);
    signal(SIGTERM, on_term);
    puts("looks");
    fflush(stdout);
    while (!ends && (now = own_time_us(fd)) >= 0) {
        uint64_t turn = *journal_live.turn;
        bool goes_on = (turn & 1) && turn == seen;
        int64_t sum_us = goes_on ? turn_us + now - before : 0;
        over += turn_us <= limit_us && sum_us > limit_us;
        turn_us = sum_us;
        longest_us = turn_us > longest_us ? turn_us : longest_us;
        before = now;
        seen = turn;
        nanosleep(&pause, NULL);
    }
    printf("longest %d ms, %u over %s ms\n", (int)(longest_us / 1000), over, argv[2]);
    return 0;
}
