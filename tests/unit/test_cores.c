/* test_cores.c - broker/cli/options/cores.c: what the cgroup permits of the processors. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "broker/cli/options/cores.h"
#include "unit.h"

static void write_file(const char *folder, const char *name, const char *text)
{
    char path[PATH_MAX];

    mkdir(folder, 0700);
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    CHECK(file != NULL);
    fputs(text, file);
    fclose(file);
}

/* The smallest on the way to the root counts, rounded up. */
static void cpu_limit(void)
{
    char root[] = "/tmp/sshim-unit.XXXXXX";
    char above[PATH_MAX];
    char group[PATH_MAX];

    CHECK(mkdtemp(root) != NULL);
    snprintf(above, sizeof above, "%s/a", root);
    snprintf(group, sizeof group, "%s/a/b", root);
    CHECK(cores_cpu_limit(root, "/a/b") == 0);
    write_file(above, "cpu.max", "250000 100000\n");
    write_file(group, "cpu.max", "max 100000\n");
    CHECK(cores_cpu_limit(root, "/a/b") == 3 && cores_cpu_limit(root, "/a") == 3);
    write_file(group, "cpu.max", "50000 100000\n");
    CHECK(cores_cpu_limit(root, "/a/b") == 1);
    write_file(root, "cpu.max", "nonsense");
    CHECK(cores_cpu_limit(root, "/") == 0 && cores_cpu_limit(root, "/a/b") == 1);
    CHECK(cores_cpu_limit(root, "/../x") == 0);
    char command[PATH_MAX + 16];
    snprintf(command, sizeof command, "rm -r '%s'", root);
    CHECK(system(command) == 0);
}

int main(void)
{
    unit_run("cores: what the cgroup permits of the processors", cpu_limit);
    return unit_end();
}
