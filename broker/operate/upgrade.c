/* upgrade.c - see upgrade.h. */
#include "broker/operate/upgrade.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/base/config.h"
#include "broker/base/log.h"
#include "broker/base/loop.h"
#include "broker/life/stop.h"
#include "broker/pool/closer.h"
#include "broker/survive/keeper.h"
#include "broker/survive/resume.h"
#include "broker/survive/state.h"

#define TRIAL_MS 5000 /* a program that takes longer to print its version is not one of ours */

static struct {
    char program[PATH_MAX];
    pid_t trial_pid; /* 0: none is under way */
    struct loop_timer deadline;
    struct session *waiter;
} upgrade;

static void on_waiter_gone(struct session *session)
{
    (void)session;
    upgrade.waiter = NULL;
}

static void fail(const char *reason)
{
    struct session *waiter = upgrade.waiter;
    char *text = NULL;

    log_error("cannot upgrade to %s: %s; the running version goes on", upgrade.program, reason);
    upgrade.waiter = NULL;
    if (!waiter)
        return;
    waiter->on_close = NULL;
    int len = asprintf(&text, "cannot upgrade to %s: %s\n", upgrade.program, reason);
    if (len >= 0)
        session_send_text(waiter, text, (size_t)len, 1);
    else
        session_close(waiter);
}

/* The path we were started from; " (deleted)" is what the kernel adds when another file is there
 * now, see proc(5). */
static bool find_program(void)
{
    static const char deleted[] = " (deleted)";
    ssize_t len = readlink("/proc/self/exe", upgrade.program, sizeof upgrade.program - 1);

    if (len <= 0)
        return false;
    upgrade.program[len] = '\0';
    char *suffix = strstr(upgrade.program, deleted);
    if (suffix && suffix[sizeof deleted - 1] == '\0')
        *suffix = '\0';
    return true;
}

static void go(void)
{
    state_save();
    keeper_stop();
    closer_stop();
    resume_exec(upgrade.program, false);
    int error = errno;
    keeper_start();
    fail(strerror(error));
}

bool upgrade_on_child_end(const siginfo_t *info)
{
    if (!upgrade.trial_pid || info->si_pid != upgrade.trial_pid)
        return false;
    upgrade.trial_pid = 0;
    loop_stop_timer(&upgrade.deadline);
    if (info->si_code != CLD_EXITED || info->si_status != 0)
        fail("it does not even print its version");
    else if (!stop_is_under_way())
        go();
    return true;
}

static void on_trial_late(struct loop_timer *timer)
{
    (void)timer;
    kill(upgrade.trial_pid, SIGKILL);
}

static int start_trial(void)
{
    char *arguments[] = {upgrade.program, "version", NULL};
    char *environment[] = {NULL};
    posix_spawn_file_actions_t actions;

    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    int error =
        posix_spawn(&upgrade.trial_pid, upgrade.program, &actions, NULL, arguments, environment);
    posix_spawn_file_actions_destroy(&actions);
    if (error)
        upgrade.trial_pid = 0;
    return error;
}

bool upgrade_begin(struct session *waiter)
{
    if (upgrade.trial_pid || stop_is_under_way() || !find_program())
        return false;
    upgrade.waiter = waiter;
    if (waiter) {
        waiter->on_close = on_waiter_gone;
        loop_stop_timer(&waiter->deadline);
    }
    int error = start_trial();
    if (error) {
        fail(strerror(error));
        return true;
    }
    upgrade.deadline.on_time = on_trial_late;
    loop_start_timer(&upgrade.deadline, TRIAL_MS);
    return true;
}
