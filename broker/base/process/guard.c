/* guard.c - see guard.h. */
#include "broker/base/process/guard.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/base/process/deputy.h"
#include "broker/base/process/procfs.h"

#define GUARDS_MAX 64
#define LOOK_MS 500 /* between looks whether the worker goes on */
#define BEGIN_MS 20

struct order {
    pid_t pid;
    int ready_fd;
};

static struct {
    pid_t guard; /* 0: a free place */
    pid_t worker;
} guards[GUARDS_MAX];

/* --- in the guard --- */

static void wait_in_group(pid_t guard)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close_range(0, ~0u, 0);
    while (getppid() == guard)
        pause(); /* all signals are blocked: KILL ends it */
}

static void stand_guard(const void *bytes)
{
    const struct order *order = bytes;
    pid_t guard = getpid();
    sigset_t all;

    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    prctl(PR_SET_NAME, "sshim-guard");
    pid_t member = fork();
    if (member == 0) {
        wait_in_group(guard);
        _exit(0);
    }
    if (member < 0 || setpgid(member, order->pid) < 0)
        _exit(1);
    if (write(order->ready_fd, "", 1) != 1)
        _exit(1);
    close_range(0, ~0u, 0);
    struct pollfd ended = {.fd = pidfd_open(order->pid, 0), .events = POLLIN};
    if (ended.fd < 0)
        _exit(1);
    while (procfs_is_stopped(order->pid) && poll(&ended, 1, LOOK_MS) == 0)
        ;
    _exit(0);
}

/* --- in the broker --- */

void guard_init(void)
{
    deputy_set(DEPUTY_GUARD, stand_guard);
}

/* -1: there is none. */
static int find(pid_t guard)
{
    for (int i = 0; i < GUARDS_MAX; i++)
        if (guards[i].guard == guard)
            return i;
    return -1;
}

/* One that stops again and again costs one guard at a time. */
static bool is_guarded(pid_t worker)
{
    for (int i = 0; i < GUARDS_MAX; i++)
        if (guards[i].guard && guards[i].worker == worker)
            return true;
    return false;
}

void guard_begin(pid_t pid)
{
    int ends[2];
    int place = find(0);

    if (place < 0 || is_guarded(pid) || getsid(pid) != getsid(0) || getpgid(pid) != pid ||
        pipe2(ends, O_CLOEXEC) < 0)
        return;
    struct order order = {pid, ends[1]};
    pid_t guard = deputy_fork(DEPUTY_GUARD, &order, sizeof order);
    guards[place].guard = guard > 0 ? guard : 0;
    guards[place].worker = pid;
    close(ends[1]);
    poll(&(struct pollfd){.fd = ends[0], .events = POLLIN}, 1, BEGIN_MS);
    close(ends[0]);
}

bool guard_is_pid(pid_t pid)
{
    return find(pid) >= 0;
}

/* A guard has ended while its worker is stopped: the worker went on for a moment, or the guard was
 * killed. But one that could not stand, for want of processes, has exited with 1: the next one
 * could not either. */
bool guard_on_child_end(const siginfo_t *info)
{
    int place = find(info->si_pid);

    if (place < 0)
        return false;
    guards[place].guard = 0;
    bool has_stood = info->si_code != CLD_EXITED || info->si_status == 0;
    if (has_stood && procfs_is_stopped(guards[place].worker))
        guard_begin(guards[place].worker);
    return true;
}
