/* cores.c - see cores.h. */
#include "broker/cli/options/cores.h"

#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static void get_cgroup(char *path, size_t size)
{
    char line[PATH_MAX];
    FILE *file = fopen("/proc/self/cgroup", "re");

    snprintf(path, size, "/");
    while (file && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = '\0';
        /* The others are groups of version 1. */
        if (strncmp(line, "0::/", 4) == 0 && strlen(line + 3) < size)
            memcpy(path, line + 3, strlen(line + 3) + 1);
    }
    if (file)
        fclose(file);
}

/* "max 100000" or "150000 100000": so many microseconds of a processor in each period. */
static unsigned read_cpu_max(const char *folder)
{
    char path[PATH_MAX + sizeof "/cpu.max"];
    unsigned long long quota;
    unsigned long long period;

    snprintf(path, sizeof path, "%s/cpu.max", folder);
    FILE *file = fopen(path, "re");
    if (!file)
        return 0;
    bool limits = fscanf(file, "%llu %llu", &quota, &period) == 2 && period > 0;
    fclose(file);
    unsigned long long processors = limits ? (quota + period - 1) / period : 0;
    return processors > UINT_MAX ? 0 : (unsigned)processors;
}

unsigned cores_cpu_limit(const char *root, const char *path)
{
    char folder[PATH_MAX];
    unsigned smallest = 0;

    int len = snprintf(folder, sizeof folder, "%s%s", root, path);
    if (strstr(path, "..") || len < 0 || (size_t)len >= sizeof folder)
        return 0; /* outside of what this namespace sees */
    while (strlen(folder) >= strlen(root)) {
        unsigned limit = read_cpu_max(folder);
        if (limit > 0 && (smallest == 0 || limit < smallest))
            smallest = limit;
        char *slash = strrchr(folder, '/');
        if (!slash)
            break;
        *slash = '\0';
    }
    return smallest;
}

unsigned cores_usable(void)
{
    cpu_set_t cores;
    return sched_getaffinity(0, sizeof cores, &cores) == 0 ? (unsigned)CPU_COUNT(&cores) : 1;
}

unsigned cores_permitted(void)
{
    char group[PATH_MAX];
    unsigned usable = cores_usable();

    get_cgroup(group, sizeof group);
    unsigned limit = cores_cpu_limit("/sys/fs/cgroup", group);
    return limit > 0 && limit < usable ? limit : usable;
}
