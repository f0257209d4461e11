/* test_procfs.c - what tells a process from a later one with the same pid. */
#include <signal.h>
#include <stdlib.h>
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

/* What is concluded from the clock, beside what the kernel says. */
static void birth_is_known_without_a_look(void)
{
    unsigned concluded = 0;

    for (int i = 0; i < 100; i++) {
        uint32_t from = procfs_birth_now();
        pid_t pid = fork();
        if (pid == 0)
            for (;;)
                pause();
        concluded += from == procfs_birth_now();
        CHECK(procfs_birth_since(pid, from) == procfs_birth(pid));
        end(pid);
    }
    CHECK(concluded > 10);
    CHECK(procfs_birth_since(getpid(), procfs_birth_now() - 1) == procfs_birth(getpid()));
}

int main(void)
{
    unit_run("procfs: the birth of a process is no other's", tells_apart);
    unit_run("procfs: the birth of a new process is known without a look",
             birth_is_known_without_a_look);
    unit_run("worker: a later process with its pid is not taken for it", worker_is_no_other);
    return unit_end();
}
