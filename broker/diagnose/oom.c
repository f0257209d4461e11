/* oom.c - see oom.h, and "memory.events" in cgroup-v2.rst of the kernel's documentation. */
#include "broker/diagnose/oom.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

static uint64_t seen; /* of the kernel's count */

/* The line "oom_kill 3" of this file. */
static bool read_count(const char *root, const char *controller, const char *group,
                       const char *file_name, uint64_t *count)
{
    char path[PATH_MAX];
    char line[128];
    bool found = false;

    if (snprintf(path, sizeof path, "%s%s%s/%s", root, controller, group, file_name) >= PATH_MAX)
        return false;
    FILE *file = fopen(path, "re");
    while (file && !found && fgets(line, sizeof line, file))
        found = sscanf(line, "oom_kill %" SCNu64, count) == 1;
    if (file)
        fclose(file);
    return found;
}

/* The group in a line "0::/a" or "4:memory:/a", if it is that of the memory. */
static const char *find_group(char *line, bool *is_version_2)
{
    char *names = strchr(line, ':');
    char *group = names ? strchr(names + 1, ':') : NULL;

    if (!group)
        return NULL;
    *group++ = '\0';
    group[strcspn(group, "\n")] = '\0';
    *is_version_2 = names[1] == '\0';
    return *is_version_2 || strcmp(names + 1, "memory") == 0 ? group : NULL;
}

bool oom_count(const char *root, const char *self, uint64_t *count)
{
    char line[PATH_MAX];
    bool found = false;
    bool is_version_2;
    FILE *file = fopen(self, "re");

    while (file && !found && fgets(line, sizeof line, file)) {
        const char *group = find_group(line, &is_version_2);
        found = group &&
                (is_version_2 ? read_count(root, "", group, "memory.events", count)
                              : read_count(root, "/memory", group, "memory.oom_control", count));
    }
    if (file)
        fclose(file);
    return found;
}

static bool count_now(uint64_t *count)
{
    return oom_count("/sys/fs/cgroup", "/proc/self/cgroup", count);
}

void oom_init(void)
{
    if (!count_now(&seen))
        seen = UINT64_MAX;
}

bool oom_is_cause(void)
{
    uint64_t count;

    if (!count_now(&count) || count <= seen)
        return false;
    seen++; /* others that it counts are still to be reaped, perhaps */
    return true;
}
