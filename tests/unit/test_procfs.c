/* test_procfs.c - what tells a process from a later one with the same pid. */
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/base/process/procfs.h"
#include "broker/pool/worker.h"
#include "unit.h"

/* A process that lives until it is killed, started in a later clock tick than whatever is older. */
static pid_t start_later(void)
{
    usleep(50000);
    pid_t pid = fork();

    if (pid == 0)
        for (;;)
            pause();
    return pid;
}

static void end(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static void tells_apart(void)
{
    pid_t later = start_later();

    CHECK(procfs_birth(getpid()) != 0);
    CHECK(procfs_birth(getpid()) == procfs_birth(getpid()));
    CHECK(procfs_birth(later) != 0 && procfs_birth(later) != procfs_birth(getpid()));
    end(later);
    CHECK(procfs_birth(later) == 0);
}

static void worker_is_no_other(void)
{
    pid_t later = start_later();
    struct worker worker = {.pid = later, .birth = procfs_birth(later)};

    CHECK(worker_is_itself(&worker));
    worker.birth = procfs_birth(getpid()); /* of the process that had this pid before */
    CHECK(!worker_is_itself(&worker));
    worker.birth = 0; /* not known */
    CHECK(worker_is_itself(&worker));
    end(later);
}

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
    CHECK(procfs_cpu_limit(root, "/a/b") == 0);
    write_file(above, "cpu.max", "250000 100000\n");
    write_file(group, "cpu.max", "max 100000\n");
    CHECK(procfs_cpu_limit(root, "/a/b") == 3 && procfs_cpu_limit(root, "/a") == 3);
    write_file(group, "cpu.max", "50000 100000\n");
    CHECK(procfs_cpu_limit(root, "/a/b") == 1);
    write_file(root, "cpu.max", "nonsense");
    CHECK(procfs_cpu_limit(root, "/") == 0 && procfs_cpu_limit(root, "/a/b") == 1);
    CHECK(procfs_cpu_limit(root, "/../x") == 0);
    char command[PATH_MAX + 16];
    snprintf(command, sizeof command, "rm -r '%s'", root);
    CHECK(system(command) == 0);
}

int main(void)
{
    unit_run("procfs: the birth of a process is no other's", tells_apart);
    unit_run("worker: a later process with its pid is not taken for it", worker_is_no_other);
    unit_run("procfs: what the cgroup permits of the processors", cpu_limit);
    return unit_end();
}
