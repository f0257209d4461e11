/* keeper.c - see keeper.h. */
#include "keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "journal.h"
#include "log.h"
#include "loop.h"
#include "resume.h"

static pid_t pid;
static struct loop_watch watch = {.fd = -1};

pid_t keeper_pid(void)
{
    return pid;
}

/* Nothing but the broker's death concerns the keeper: not Ctrl-C, not a TERM to the whole group. */
static void block_signals(void)
{
    sigset_t all;

    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
}

static void wait_for_end_of(int broker_pidfd)
{
    struct pollfd ended = {.fd = broker_pidfd, .events = POLLIN};

    while (poll(&ended, 1, -1) < 0 && errno == EINTR)
        ;
}

static void keep(int broker_pidfd)
{
    block_signals();
    setsid(); /* what is sent to the broker's process group does not concern it either */
    prctl(PR_SET_NAME, "sshim-keeper");
    wait_for_end_of(broker_pidfd);
    if (!journal_is_clean())
        resume_exec("/proc/self/exe", true);
    _exit(0);
}

static void on_keeper_end(struct loop_watch *ended, uint32_t events)
{
    (void)ended;
    (void)events;
    keeper_stop();
    if (keeper_start() < 0)
        log_error(
            "cannot start the keeper again: %s; a crash of the broker would now lose connections",
            strerror(errno));
}

int keeper_start(void)
{
    static int broker_pidfd = -1; /* in the table that both use */

    if (broker_pidfd < 0 && (broker_pidfd = pidfd_open(getpid(), 0)) < 0)
        return -1;
    /* No SIGCHLD at its end: it is not one of the children that are waited for. */
    pid = (pid_t)syscall(SYS_clone, CLONE_FILES, 0, 0, 0, 0);
    if (pid == 0)
        keep(broker_pidfd);
    if (pid < 0) {
        pid = 0;
        return -1;
    }
    watch = (struct loop_watch){pidfd_open(pid, 0), on_keeper_end};
    return watch.fd < 0 ? -1 : loop_add(&watch, EPOLLIN);
}

void keeper_stop(void)
{
    if (!pid)
        return;
    kill(pid, SIGKILL);
    while (waitpid(pid, NULL, __WCLONE) < 0 && errno == EINTR)
        ;
    if (watch.fd >= 0) {
        loop_remove(&watch);
        close(watch.fd);
        watch.fd = -1;
    }
    pid = 0;
}
