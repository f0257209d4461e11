/* signals.c - see signals.h. */
#include "broker/operate/signals.h"

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "broker/base/config.h"
#include "broker/base/log.h"
#include "broker/base/loop.h"
#include "broker/life/supervise/children.h"
#include "broker/life/launch/original.h"
#include "broker/life/restart.h"
#include "broker/life/stop.h"
#include "broker/operate/tell/reopen.h"
#include "broker/operate/upgrade.h"
#include "broker/operate/steer/reload.h"
#include "broker/operate/steer/scale.h"

static const int watched[] = {SIGCHLD, SIGTERM, SIGINT,  SIGQUIT, SIGHUP,
                              SIGUSR1, SIGUSR2, SIGTTIN, SIGTTOU};

static bool had_terminal;

static bool has_terminal(void)
{
    int fd = open("/dev/tty", O_RDONLY | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);

    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

/*
 * The kernel sends SIGHUP to the session's leader and to the group in front; a shell that leads the
 * session sends it on to its jobs, when the session's terminal is already gone.
 */
static bool is_hang_up(const struct signalfd_siginfo *info)
{
    return info->ssi_code == SI_KERNEL ||
           (had_terminal && (pid_t)info->ssi_pid == getsid(0) && !has_terminal());
}

/* A process outside our pid namespace has the number 0, see pid_namespaces(7). */
static void tell_stop(const struct signalfd_siginfo *info)
{
    const char *name = sigabbrev_np((int)info->ssi_signo);

    if (info->ssi_code == SI_KERNEL)
        log_info("stopping: SIG%s came from the terminal; a second one kills the workers at once",
                 name);
    else if (info->ssi_pid == 0)
        log_info("stopping: SIG%s came from outside the pid namespace", name);
    else
        log_info("stopping: SIG%s came from pid %u", name, info->ssi_pid);
}

static void stop(const struct signalfd_siginfo *info)
{
    if (!stop_is_under_way())
        tell_stop(info);
    if (info->ssi_signo == SIGTERM)
        stop_announce(EXIT_STOPPED);
    else
        stop_begin(EXIT_STOPPED);
}

/* What is wrong with the file has been logged. */
static void reload(void)
{
    struct option_fault told;

    if (reload_options(&told))
        restart_begin(1, false, NULL);
}

static void hang_up(const struct signalfd_siginfo *info)
{
    if (!is_hang_up(info)) {
        reload();
    } else if (!original_ignores(SIGHUP) && !stop_is_under_way()) { /* else it was nohup(1) */
        log_info("the terminal was closed: stopping; start sshim by nohup to go on without it");
        stop_begin(EXIT_STOPPED);
    }
}

static void handle(const struct signalfd_siginfo *info)
{
    char text[REOPEN_TEXT_MAX];

    switch (info->ssi_signo) {
    case SIGCHLD: children_on_signal(); break;
    case SIGTERM:
    case SIGINT:
    case SIGQUIT: stop(info); break;
    case SIGHUP: hang_up(info); break;
    case SIGUSR1: reopen_logs(text, sizeof text); break;
    case SIGUSR2: upgrade_begin(NULL); break;
    case SIGTTIN: scale_begin("+1", false, NULL); break;
    case SIGTTOU: scale_begin("-1", false, NULL); break;
    default: break;
    }
}

static void on_signal(struct loop_fd *watch, uint32_t events)
{
    struct signalfd_siginfo info;

    (void)events;
    while (read(watch->fd, &info, sizeof info) == sizeof info)
        handle(&info);
}

int signals_watch(void)
{
    static struct loop_fd watch;
    sigset_t signals;

    had_terminal = has_terminal();
    sigemptyset(&signals);
    for (size_t i = 0; i < sizeof watched / sizeof watched[0]; i++)
        sigaddset(&signals, watched[i]);
    original_block_signals(&signals);
    signal(SIGPIPE, SIG_IGN);
    watch = (struct loop_fd){signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK), on_signal};
    return watch.fd < 0 ? -1 : loop_add(&watch, EPOLLIN);
}
