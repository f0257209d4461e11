/* original.c - see original.h. */
#include "broker/life/launch/original.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "broker/handout/canonical/scheduling.h"

#define SIGNALS 64

static sigset_t mask;
static uint64_t ignored;
static uint64_t to_restore = UINT64_MAX; /* bit n - 1: signal n */
static struct rlimit files;
static unsigned given_fds;

void original_init(void)
{
    struct sigaction action;

    sigprocmask(SIG_SETMASK, NULL, &mask);
    getrlimit(RLIMIT_NOFILE, &files);
    for (int number = 1; number <= SIGNALS; number++)
        if (sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN)
            ignored |= UINT64_C(1) << (number - 1);
    signal(SIGCHLD, SIG_DFL);
    while (fcntl(STDERR_FILENO + 1 + (int)given_fds, F_GETFD) >= 0)
        given_fds++;
}

unsigned original_count_fds(void)
{
    return given_fds;
}

bool original_ignores(int number)
{
    return ignored >> (number - 1) & 1;
}

struct original original_get(void)
{
    struct original now = {.ignored_signals = ignored, .file_limit = files.rlim_cur};

    for (int number = 1; number <= SIGNALS; number++)
        if (sigismember(&mask, number) == 1)
            now.signal_mask |= UINT64_C(1) << (number - 1);
    return now;
}

void original_set(const struct original *from)
{
    files.rlim_cur = from->file_limit;
    ignored = from->ignored_signals;
    sigemptyset(&mask);
    for (int number = 1; number <= SIGNALS; number++)
        if (from->signal_mask >> (number - 1) & 1)
            sigaddset(&mask, number);
}

void original_block_signals(const sigset_t *signals)
{
    sigprocmask(SIG_SETMASK, &mask, NULL);
    sigprocmask(SIG_BLOCK, signals, NULL);
}

void original_note_signals(void)
{
    struct sigaction action;

    if (to_restore != UINT64_MAX)
        return;
    to_restore = 0;
    for (int number = 1; number <= SIGNALS; number++)
        if (sigaction(number, NULL, &action) == 0 &&
            action.sa_handler != (original_ignores(number) ? SIG_IGN : SIG_DFL))
            to_restore |= UINT64_C(1) << (number - 1);
}

/* Handlers are gone after exec, but not that a signal is ignored. Fails for those of libc alone. */
static void restore_signals(void)
{
    for (int number = 1; number <= SIGNALS; number++)
        if (to_restore >> (number - 1) & 1)
            signal(number, original_ignores(number) ? SIG_IGN : SIG_DFL);
}

void original_restore(void)
{
    restore_signals();
    setrlimit(RLIMIT_NOFILE, &files);
    scheduling_restore();
}

void original_restore_mask(void)
{
    sigprocmask(SIG_SETMASK, &mask, NULL);
}

void original_hide_manager(void)
{
    static const char *const names[] = {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID",
                                        "FDSTORE",       "LISTEN_FDS",    "LISTEN_PID",
                                        "LISTEN_FDNAMES"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        unsetenv(names[i]);
}
