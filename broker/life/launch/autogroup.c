/* autogroup.c - see autogroup.h. */
#include "broker/life/launch/autogroup.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* "cpu,cpuacct" has "cpu", "cpuset" has not. */
static bool has_cpu(char *controllers)
{
    char *rest;

    for (char *name = strtok_r(controllers, ",", &rest); name; name = strtok_r(NULL, ",", &rest))
        if (strcmp(name, "cpu") == 0)
            return true;
    return false;
}

/* In this group of version 2, or one above it that we can see: the root of a container is another
 * group outside, and has it too. */
static bool has_weight(const char *root, const char *group)
{
    char path[PATH_MAX];
    size_t len = strlen(group);

    if (strstr(group, "..")) /* outside of what this namespace sees */
        return false;
    for (;;) {
        int used = snprintf(path, sizeof path, "%s%.*s/cpu.weight", root, (int)len, group);
        if (used > 0 && (size_t)used < sizeof path && access(path, F_OK) == 0)
            return true;
        if (len == 0)
            return false;
        while (len > 0 && group[--len] != '/')
            ;
    }
}

/* A line of /proc/self/cgroup: "0::/a" is of version 2, "4:cpu,cpuacct:/a" of version 1. */
static bool shares_out(const char *root, char *line)
{
    char *names = strchr(line, ':');
    char *group = names ? strchr(names + 1, ':') : NULL;

    if (!group)
        return false;
    *group++ = '\0';
    group[strcspn(group, "\n")] = '\0';
    if (names[1] == '\0')
        return has_weight(root, group);
    return has_cpu(names + 1) && strcmp(group, "/") != 0;
}

bool autogroup_has_cgroup(const char *root, const char *self)
{
    char line[PATH_MAX];
    bool found = false;
    FILE *file = fopen(self, "re");

    while (file && !found && fgets(line, sizeof line, file))
        found = shares_out(root, line);
    if (file)
        fclose(file);
    return found;
}

bool autogroup_is_in_force(void)
{
    FILE *file = fopen("/proc/sys/kernel/sched_autogroup_enabled", "re");
    bool is_on = file && fgetc(file) == '1';

    if (file)
        fclose(file);
    return is_on && !autogroup_has_cgroup("/sys/fs/cgroup", "/proc/self/cgroup");
}
