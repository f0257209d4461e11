/* spawn.c - see spawn.h. */
#include "spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "broker.h"
#include "pace.h"

static sigset_t original_mask;
static struct rlimit original_files;

void spawn_init(void)
{
    sigprocmask(SIG_SETMASK, NULL, &original_mask);
    getrlimit(RLIMIT_NOFILE, &original_files);
}

struct spawn_original spawn_get_original(void)
{
    struct spawn_original original = {.file_limit = original_files.rlim_cur};

    for (int number = 1; number <= 64; number++)
        if (sigismember(&original_mask, number) == 1)
            original.signal_mask |= UINT64_C(1) << (number - 1);
    return original;
}

void spawn_set_original(const struct spawn_original *original)
{
    original_files.rlim_cur = original->file_limit;
    sigemptyset(&original_mask);
    for (int number = 1; number <= 64; number++)
        if (original->signal_mask >> (number - 1) & 1)
            sigaddset(&original_mask, number);
}

void spawn_block_signals(const sigset_t *signals)
{
    sigprocmask(SIG_SETMASK, &original_mask, NULL);
    sigprocmask(SIG_BLOCK, signals, NULL);
}

/* All of these run in the child, where leaking is fine. */

static char *replace_id(const char *argument, unsigned slot)
{
    size_t room = strlen(argument) * 4 + 16;
    char *result = malloc(room);
    char *end = result;

    if (!result)
        _exit(EXIT_NOT_EXECUTABLE);
    while (*argument) {
        if (strncmp(argument, "{id}", 4) == 0) {
            end += sprintf(end, "%u", slot);
            argument += 4;
        } else {
            *end++ = *argument++;
        }
    }
    *end = '\0';
    return result;
}

static void set_environment(const struct spawn_identity *identity)
{
    const char *preload = getenv("LD_PRELOAD");
    char text[sizeof broker.library_path + 4096];
    char *end = text;

    snprintf(text, sizeof text, "%s%s%s", broker.library_path, preload && *preload ? ":" : "",
             preload ? preload : "");
    setenv("LD_PRELOAD", text, 1);
    setenv("SSHIM_BROKER", broker.control_path, 1);
    snprintf(text, sizeof text, "%u", identity->slot);
    setenv("SSHIM_WORKER_ID", text, 1);
    snprintf(text, sizeof text, "%u", (unsigned)broker.uid);
    setenv("SSHIM_OWNER", text, 1);
    for (int i = 0; i < WIRE_TOKEN_SIZE; i++)
        end += sprintf(end, "%02x", identity->token[i]);
    setenv("SSHIM_TOKEN", text, 1);
    if (broker.config.share_all)
        setenv("SSHIM_SHARE", "all", 1);
    else
        unsetenv("SSHIM_SHARE");
}

/* A terminal cannot be read by several copies in the background: it would stop them (SIGTTIN). */
static void detach_terminal(void)
{
    if (!isatty(STDIN_FILENO))
        return;
    int null_fd = open("/dev/null", O_RDONLY);
    if (null_fd > STDIN_FILENO) {
        dup2(null_fd, STDIN_FILENO);
        close(null_fd);
    }
}

static void run_child(char **command, const struct spawn_identity *identity, int error_fd)
{
    for (int i = 1; command[i]; i++)
        if (strstr(command[i], "{id}"))
            command[i] = replace_id(command[i], identity->slot);
    setpgid(0, 0);
    if (broker.config.ready_fd >= 0) /* its reader may wait for the end of file as well */
        close(broker.config.ready_fd);
    detach_terminal();
    signal(SIGPIPE, SIG_DFL);
    setrlimit(RLIMIT_NOFILE, &original_files);
    pace_restore();
    set_environment(identity);
    sigprocmask(SIG_SETMASK, &original_mask, NULL);
    execvp(command[0], command);
    int error = errno;
    ssize_t told = write(error_fd, &error, sizeof error);
    _exit(told < 0 || error == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE);
}

pid_t spawn_worker(char **command, const struct spawn_identity *identity, int *error_fd)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return -1;
    pid_t pid = fork();
    if (pid == 0)
        run_child(command, identity, ends[1]);
    int saved = errno;
    close(ends[1]);
    if (pid < 0)
        close(ends[0]);
    else
        *error_fd = ends[0];
    errno = saved;
    return pid;
}
