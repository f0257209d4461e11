/* test_guard.c - broker/base/process/guard.c: when another guard begins. */
#include <signal.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/base/process/deputy.h"
#include "broker/base/process/guard.h"
#include "unit.h"

static int exit_status;

static void stand(const void *order)
{
    (void)order;
    _exit(exit_status);
}

static pid_t worker;

/* A process that leads its group and is stopped. */
static pid_t start_stopped(void)
{
    siginfo_t info;
    pid_t pid = fork();

    if (pid == 0) {
        setpgid(0, 0);
        raise(SIGSTOP);
        _exit(0);
    }
    waitid(P_PID, (id_t)pid, &info, WSTOPPED);
    return pid;
}

/* The worker is the only child that does not end. */
static bool take_end_of_guard(void)
{
    siginfo_t info = {.si_pid = 0};

    for (int i = 0; i < 200 && info.si_pid == 0; i++) {
        waitid(P_ALL, 0, &info, WEXITED | WNOHANG);
        usleep(info.si_pid ? 0 : 1000);
    }
    return info.si_pid != 0 && guard_on_child_end(&info);
}

static void test_failure(void)
{
    exit_status = 1;
    guard_begin(worker);
    CHECK(take_end_of_guard());
    CHECK(!take_end_of_guard());
}

static void test_success(void)
{
    exit_status = 0;
    guard_begin(worker);
    CHECK(take_end_of_guard());
    exit_status = 1;
    CHECK(take_end_of_guard()); /* the second had the status 0 as well */
    CHECK(take_end_of_guard());
    CHECK(!take_end_of_guard());
}

int main(void)
{
    worker = start_stopped();
    deputy_set(DEPUTY_GUARD, stand);
    unit_run("a guard that could not stand is not begun again", test_failure);
    unit_run("another guard follows one that has stood, while the worker is stopped", test_success);
    kill(worker, SIGKILL);
    return unit_end();
}
