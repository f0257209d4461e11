/*
 * platform_musl.h - calls of glibc that the broker makes and that musl does not have, or has in new
 * versions only. Read by platform.h alone.
 *
 * Each has a name of ours and a macro with that of glibc: what a later musl declares does no harm.
 * Headers of Linux and sys/queue.h have to be there (Alpine: linux-headers, bsd-compat-headers).
 */
#ifndef SSHIM_PROTO_PLATFORM_MUSL_H
#define SSHIM_PROTO_PLATFORM_MUSL_H

#include <signal.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef STATX_INO /* before 1.2.5 */
#include <linux/stat.h>
#endif

/* pidfd_open(2), pidfd_send_signal(2), pidfd_getfd(2), close_range(2), statx(2), with their errno.
 */
static inline int platform_pidfd_open(pid_t pid, unsigned flags)
{
    return (int)syscall(SYS_pidfd_open, pid, flags);
}

static inline int platform_pidfd_send_signal(int pid_fd, int number, siginfo_t *info,
                                             unsigned flags)
{
    return (int)syscall(SYS_pidfd_send_signal, pid_fd, number, info, flags);
}

static inline int platform_pidfd_getfd(int pid_fd, int fd, unsigned flags)
{
    return (int)syscall(SYS_pidfd_getfd, pid_fd, fd, flags);
}

static inline int platform_close_range(unsigned first, unsigned last, int flags)
{
    return (int)syscall(SYS_close_range, first, last, flags);
}

static inline int platform_statx(int folder_fd, const char *path, int flags, unsigned mask,
                                 struct statx *info)
{
    return (int)syscall(SYS_statx, folder_fd, path, flags, mask, info);
}

/* sigabbrev_np(3): "TERM" of SIGTERM; NULL where no signal has that number, or a real-time one. */
static inline const char *platform_sigabbrev(int number)
{
    static const char *const names[] = {
        [SIGHUP] = "HUP",       [SIGINT] = "INT",   [SIGQUIT] = "QUIT",   [SIGILL] = "ILL",
        [SIGTRAP] = "TRAP",     [SIGABRT] = "ABRT", [SIGBUS] = "BUS",     [SIGFPE] = "FPE",
        [SIGKILL] = "KILL",     [SIGUSR1] = "USR1", [SIGSEGV] = "SEGV",   [SIGUSR2] = "USR2",
        [SIGPIPE] = "PIPE",     [SIGALRM] = "ALRM", [SIGTERM] = "TERM",   [SIGCHLD] = "CHLD",
        [SIGCONT] = "CONT",     [SIGSTOP] = "STOP", [SIGTSTP] = "TSTP",   [SIGTTIN] = "TTIN",
        [SIGTTOU] = "TTOU",     [SIGURG] = "URG",   [SIGXCPU] = "XCPU",   [SIGXFSZ] = "XFSZ",
        [SIGVTALRM] = "VTALRM", [SIGPROF] = "PROF", [SIGWINCH] = "WINCH", [SIGPOLL] = "POLL",
        [SIGPWR] = "PWR",       [SIGSYS] = "SYS",
    };
    return number >= 0 && (size_t)number < sizeof names / sizeof *names ? names[number] : NULL;
}

#define pidfd_open platform_pidfd_open
#define pidfd_send_signal platform_pidfd_send_signal
#define pidfd_getfd platform_pidfd_getfd
#define close_range platform_close_range
#define statx(folder_fd, path, flags, mask, info) platform_statx(folder_fd, path, flags, mask, info)
#define sigabbrev_np platform_sigabbrev

#endif
