/* test_autogroup.c - broker/life/launch/autogroup.c: does a cgroup share the processors out to us?
 */
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/life/launch/autogroup.h"
#include "unit.h"

static void write_file(const char *name, const char *text)
{
    FILE *file = fopen(name, "w");

    CHECK(file && fputs(text, file) >= 0);
    if (file)
        fclose(file);
}

static bool has_cgroup(const char *self)
{
    write_file("self", self);
    return autogroup_has_cgroup(".", "self");
}

static void version_1(void)
{
    CHECK(has_cgroup("5:cpu:/a\n4:memory:/\n"));
    CHECK(has_cgroup("3:cpuset:/\n2:cpuacct,cpu:/a/b\n"));
    CHECK(!has_cgroup("5:cpu:/\n4:memory:/a\n3:cpuset:/a\n2:cpuacct:/a\n1:name=systemd:/a\n"));
}

static void version_2(void)
{
    mkdir("web", 0700);
    mkdir("web/a", 0700);
    CHECK(!has_cgroup("0::/web/a\n"));
    CHECK(!has_cgroup("0::/\n"));
    write_file("web/cpu.weight", "100\n"); /* the group below it is a part of that */
    CHECK(has_cgroup("0::/web/a\n"));
    CHECK(has_cgroup("0::/web\n"));
    CHECK(!has_cgroup("0::/\n"));
    CHECK(!has_cgroup("0::/../web\n"));
    write_file("cpu.weight", "100\n"); /* a container */
    CHECK(has_cgroup("0::/\n"));
}

static void nothing(void)
{
    CHECK(!has_cgroup(""));
    CHECK(!has_cgroup("nonsense\n0:\n:\n"));
    CHECK(!autogroup_has_cgroup(".", "none"));
}

int main(void)
{
    char folder[] = "/tmp/sshim-autogroup.XXXXXX";

    if (!mkdtemp(folder) || chdir(folder) < 0)
        return 1;
    unit_run("a group of version 1, with the controller of processors", version_1);
    unit_run("where nothing is said there is none", nothing);
    unit_run("a group of version 2, or one above it", version_2);
    unlink("cpu.weight");
    unlink("web/cpu.weight");
    rmdir("web/a");
    rmdir("web");
    unlink("self");
    rmdir(folder);
    return unit_end();
}
