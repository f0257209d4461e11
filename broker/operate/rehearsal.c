/* rehearsal.c - see rehearsal.h. The old program's side; the new one's is run_rehearsal(). */
#include "broker/operate/rehearsal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/base/journal.h"
#include "broker/base/loop.h"
#include "broker/base/process/deputy.h"
#include "broker/base/process/signal.h"
#include "broker/survive/resume.h"

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
    signal_process(rehearsal.pid, SIGKILL);
}

struct order {
    int output_fd;
};

/* In the new process. The deputy blocks all signals. */
static void rehearse(const void *bytes)
{
    const struct order *order = bytes;
    char command[] = REHEARSAL_COMMAND;
    sigset_t none;

    resume_arguments()[1] = command;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    dup2(order->output_fd, STDOUT_FILENO);
    dup2(order->output_fd, STDERR_FILENO);
    dup2(journal_fd(), REHEARSAL_FD);
    fcntl(REHEARSAL_FD, F_SETFD, 0); /* also where it had this number */
    execv(resume_program(), resume_arguments());
    dprintf(STDERR_FILENO, "%s\n", strerror(errno));
    _exit(EXIT_NOT_FOUND);
}

void rehearsal_init(void)
{
    deputy_set(DEPUTY_REHEARSAL, rehearse);
}

int rehearsal_start(void (*on_end)(const char *failure))
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
        return errno;
    struct order order = {ends[1]};
    pid_t pid = deputy_fork(DEPUTY_REHEARSAL, &order, sizeof order);
    int saved = errno;
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        return saved;
    }
    rehearsal.pid = pid;
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
    else if (info->si_status == EXIT_NOT_FOUND && *line)
        snprintf(text, size, "it cannot be executed: %.200s", line);
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
