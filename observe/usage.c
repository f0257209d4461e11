/* usage.c - see usage.h. */
#include "observe/usage.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEPTH_MAX 16 /* of a tree: enough for servers, and an end for the recursion */

/* When the machine was started, in seconds since the epoch. */
static double boot_time(void)
{
    static double seconds;
    char line[128];
    FILE *file = seconds > 0 ? NULL : fopen("/proc/stat", "re");

    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "btime %lf", &seconds) == 1)
            break;
    if (file)
        fclose(file);
    return seconds;
}

bool usage_read(int pid, struct usage *usage)
{
    char path[64];
    char line[1024];
    unsigned long user, system, virtual_bytes;
    long child_user, child_system, resident;
    unsigned long long start;
    double ticks = (double)sysconf(_SC_CLK_TCK);

    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    size_t len = fread(line, 1, sizeof line - 1, file);
    fclose(file);
    line[len] = '\0';
    const char *after = strrchr(line, ')'); /* the name may have spaces */
    if (!after ||
        sscanf(after,
               ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %ld %ld %*d %*d "
               "%*d %*d %llu %lu %ld",
               &user, &system, &child_user, &child_system, &start, &virtual_bytes, &resident) != 7)
        return false;
    *usage = (struct usage){
        .cpu_s =
            ((double)user + (double)system + (double)child_user + (double)child_system) / ticks,
        .resident_bytes = (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE),
        .virtual_bytes = virtual_bytes,
        .started_s = boot_time() + (double)start / ticks,
    };
    return true;
}

static void add_children(int pid, struct usage *sum, int depth);

static void add_tree(int pid, struct usage *sum, int depth)
{
    struct usage one;

    if (!usage_read(pid, &one))
        return;
    sum->cpu_s += one.cpu_s;
    sum->resident_bytes += one.resident_bytes;
    sum->virtual_bytes += one.virtual_bytes;
    if (depth < DEPTH_MAX)
        add_children(pid, sum, depth + 1);
}

/* Children of the first thread: servers fork there. */
static void add_children(int pid, struct usage *sum, int depth)
{
    char path[64];
    int child;

    snprintf(path, sizeof path, "/proc/%d/task/%d/children", pid, pid);
    FILE *file = fopen(path, "re");
    while (file && fscanf(file, "%d", &child) == 1)
        add_tree(child, sum, depth);
    if (file)
        fclose(file);
}

bool usage_read_tree(int pid, struct usage *usage)
{
    if (pid <= 0 || !usage_read(pid, usage))
        return false;
    add_children(pid, usage, 1);
    return true;
}

void usage_count_files(int pid, uint64_t *open_files, uint64_t *limit)
{
    char path[64];
    char line[256];
    struct stat info;

    snprintf(path, sizeof path, "/proc/%d/fd", pid);
    *open_files = stat(path, &info) == 0 ? (uint64_t)info.st_size : 0;
    *limit = 0;
    snprintf(path, sizeof path, "/proc/%d/limits", pid);
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "Max open files %" SCNu64, limit) == 1)
            break;
    if (file)
        fclose(file);
}
