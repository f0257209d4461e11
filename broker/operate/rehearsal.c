/* rehearsal.c - see rehearsal.h. The old program's side; the new one's is run_rehearsal(). */
#include "broker/operate/rehearsal.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/base/journal.h"
#include "broker/base/loop.h"

#define DEADLINE_MS 5000 /* a program that takes longer is not one of ours */
#define OUTPUT_MAX 4096

static struct {
    pid_t pid; /* 0: none is under way */
    int output_fd;
    bool is_late;
    struct loop_timer deadline;
    void (*on_end)(const char *failure);
} rehearsal;

static void on_late(struct loop_timer *timer)
{
    (void)timer;
    rehearsal.is_late = true;
    kill(rehearsal.pid, SIGKILL);
}

static int spawn(const char *program, char **arguments, int output_fd)
{
    posix_spawn_file_actions_t actions;
    size_t count = 0;

    while (arguments[count])
        count++;
    char **others = calloc(count + 1, sizeof *others);
    if (!others)
        return ENOMEM;
    memcpy(others, arguments, count * sizeof *others);
    char command[] = REHEARSAL_COMMAND;
    others[1] = command;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, output_fd, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, output_fd, STDERR_FILENO);
    posix_spawn_file_actions_adddup2(&actions, journal_fd(), REHEARSAL_FD);
    int error = posix_spawn(&rehearsal.pid, program, &actions, NULL, others, environ);
    posix_spawn_file_actions_destroy(&actions);
    free(others);
    if (error)
        rehearsal.pid = 0;
    return error;
}

int rehearsal_start(const char *program, char **arguments, void (*on_end)(const char *failure))
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
        return errno;
    int error = spawn(program, arguments, ends[1]);
    close(ends[1]);
    if (error) {
        close(ends[0]);
        return error;
    }
    rehearsal.output_fd = ends[0];
    rehearsal.is_late = false;
    rehearsal.on_end = on_end;
    rehearsal.deadline.on_time = on_late;
    loop_start_timer(&rehearsal.deadline, DEADLINE_MS);
    return 0;
}

/* Its last line, without the prefix of our own lines; it may go to a terminal. */
static const char *last_line(char *output)
{
    static const char prefix[] = "sshim: ";
    size_t len = strlen(output);

    while (len > 0 && output[len - 1] == '\n')
        output[--len] = '\0';
    char *line = strrchr(output, '\n');
    line = line ? line + 1 : output;
    if (strncmp(line, prefix, sizeof prefix - 1) == 0)
        line += sizeof prefix - 1;
    for (char *c = line; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = '?';
    return line;
}

static void describe(char *text, size_t size, char *output, const siginfo_t *info)
{
    const char *line = last_line(output);

    if (rehearsal.is_late)
        snprintf(text, size, "it did not say within %d s that it can go on from here",
                 DEADLINE_MS / 1000);
    else if (info->si_code != CLD_EXITED)
        snprintf(text, size,
                 "it was ended by signal %d (%s) before it said that it can go on from "
                 "here",
                 info->si_status, strsignal(info->si_status));
    else if (*line)
        snprintf(text, size, "it cannot go on from here; it says: %.200s", line);
    else
        snprintf(text, size, "it is no sshim: it exits with status %d and says nothing",
                 info->si_status);
}

bool rehearsal_on_child_end(const siginfo_t *info)
{
    char output[OUTPUT_MAX + 1];
    char failure[320];

    if (!rehearsal.pid || info->si_pid != rehearsal.pid)
        return false;
    ssize_t len = read(rehearsal.output_fd, output, OUTPUT_MAX);
    output[len > 0 ? len : 0] = '\0';
    close(rehearsal.output_fd);
    loop_stop_timer(&rehearsal.deadline);
    rehearsal.pid = 0;
    bool can = info->si_code == CLD_EXITED && info->si_status == 0 &&
               strstr(output, REHEARSAL_LINE "\n") != NULL;
    if (!can)
        describe(failure, sizeof failure, output, info);
    rehearsal.on_end(can ? NULL : failure);
    return true;
}
