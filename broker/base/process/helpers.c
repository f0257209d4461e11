/* helpers.c - see helpers.h. */
#include "broker/base/process/helpers.h"

#include <signal.h>
#include <sched.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/platform.h"

#define TRIES 100 /* of 1 ms */
#define CLOSERS 20

pid_t helpers_fork(unsigned long flags)
{
    return (pid_t)syscall(PLATFORM_CLONE(flags, 0));
}

void helpers_enter(const char *name)
{
    sigset_t all;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NAME, name);
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    setsid();
}

static void ignore_tick(int number)
{
    (void)number;
}

void helpers_take_ticks(void)
{
    struct sigaction action = {.sa_handler = ignore_tick}; /* not SA_RESTART, see turn.h */
    sigset_t one;

    sigaction(SIGALRM, &action, NULL);
    sigemptyset(&one);
    sigaddset(&one, SIGALRM);
    sigprocmask(SIG_UNBLOCK, &one, NULL);
}

void helpers_set_ticks(int period_ms)
{
    struct timeval period = {.tv_usec = period_ms * 1000};

    setitimer(ITIMER_REAL, &(struct itimerval){period, period}, NULL);
}

void helpers_end_in(int life_ms)
{
    struct itimerval once = {.it_value.tv_usec = life_ms * 1000};
    sigset_t one;

    signal(SIGALRM, SIG_DFL);
    setitimer(ITIMER_REAL, &once, NULL);
    sigemptyset(&one);
    sigaddset(&one, SIGALRM);
    sigprocmask(SIG_UNBLOCK, &one, NULL);
}

int helpers_keep_one(int fd)
{
    if (fd != STDERR_FILENO + 1)
        dup2(fd, STDERR_FILENO + 1);
    close_range(STDERR_FILENO + 2, ~0u, 0);
    return STDERR_FILENO + 1;
}

bool helpers_bury(pid_t *pids, int count)
{
    bool have_ended = true;

    for (int i = 0; i < count; i++) {
        if (pids[i] && waitpid(pids[i], NULL, __WCLONE | WNOHANG) != 0)
            pids[i] = 0;
        have_ended &= !pids[i];
    }
    return have_ended;
}

bool helpers_await(pid_t *pids, int count)
{
    for (int tries = TRIES; !helpers_bury(pids, count); tries--) {
        if (tries == 0)
            return false;
        usleep(1000);
    }
    return true;
}

/* One by one: close_range(2) takes all out of the table first, and then one holds up the rest. */
static _Noreturn void close_all(void)
{
    struct rlimit limit = {0};

    helpers_enter("sshim-closer");
    getrlimit(RLIMIT_NOFILE, &limit);
    for (rlim_t fd = STDERR_FILENO + 1; fd < limit.rlim_cur; fd++)
        close((int)fd);
    _exit(0);
}

/* One that is held up has taken what holds it up out of the table: another one goes on. */
void helpers_empty_table(void)
{
    pid_t pids[CLOSERS] = {0};
    bool done = false;

    for (int i = 0; i < CLOSERS && !done; i++) {
        pids[i] = helpers_fork(CLONE_FILES);
        if (pids[i] == 0)
            close_all();
        done = pids[i] < 0 || helpers_await(&pids[i], 1);
    }
}
