/* test_oom.c - broker/diagnose/oom.c: the count of each version of cgroups. */
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/diagnose/oom.h"
#include "unit.h"

static void write_file(const char *name, const char *text)
{
    FILE *file = fopen(name, "w");

    CHECK(file && fputs(text, file) >= 0);
    if (file)
        fclose(file);
}

static void reads_version_2(void)
{
    uint64_t count = 0;

    mkdir("web", 0700);
    write_file("self", "1:name=systemd:/\n0::/web\n");
    write_file("web/memory.events", "low 1\nhigh 2\nmax 3\noom 4\noom_kill 5\noom_group_kill 6\n");
    CHECK(oom_count(".", "self", &count) && count == 5);
}

static void reads_version_1(void)
{
    uint64_t count = 0;

    mkdir("memory", 0700);
    mkdir("memory/a", 0700);
    write_file("self", "5:cpu:/a\n4:memory:/a\n0::/none\n");
    write_file("memory/a/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 7\n");
    CHECK(oom_count(".", "self", &count) && count == 7);
}

static void says_nothing_without_a_count(void)
{
    uint64_t count;

    write_file("self", "0::/web/below\n");
    CHECK(!oom_count(".", "self", &count));
    write_file("web/memory.events", "oom 4\n");
    write_file("self", "0::/web\n");
    CHECK(!oom_count(".", "self", &count) && !oom_count(".", "none", &count));
    write_file("self", "nonsense\n0:\n:\n");
    CHECK(!oom_count(".", "self", &count));
}

int main(void)
{
    char folder[] = "/tmp/sshim-oom.XXXXXX";

    if (!mkdtemp(folder) || chdir(folder) < 0)
        return 1;
    unit_run("memory.events of version 2", reads_version_2);
    unit_run("memory.oom_control of version 1", reads_version_1);
    unit_run("no count is no count", says_nothing_without_a_count);
    return system("rm -r \"$PWD\"") != 0 || unit_end(); /* NOLINT(cert-env33-c) */
}
