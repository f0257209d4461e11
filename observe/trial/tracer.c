/*
 * tracer.c - see tracer.h. The broker's own processes are traced for their forks alone; a process
 * becomes a copy's when it executes a program with a token of the broker in its environment, and
 * what it starts is the copy's as well.
 */
#include "observe/trial/tracer.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PROCESSES_MAX 4096
#define OPTIONS                                                                                    \
    (PTRACE_O_EXITKILL | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE |          \
     PTRACE_O_TRACEEXEC | PTRACE_O_TRACESYSGOOD)
#define NO_COPY (-1)
#define STOP_OF(status) ((status) >> 16) /* PTRACE_EVENT_* */

static struct process {
    pid_t pid;
    int copy;
    bool is_gone;
    bool is_seized; /* its first stop is over */
    struct tracer_call call;
} processes[PROCESSES_MAX];
static unsigned process_count;
static pid_t root;
static pid_t last_other; /* a child that is not traced has ended, with: */
static int last_status;
static void (*tell)(const struct tracer_call *call);

static struct process *find(pid_t pid)
{
    for (unsigned i = process_count; i > 0; i--)
        if (processes[i - 1].pid == pid && !processes[i - 1].is_gone)
            return &processes[i - 1];
    return NULL;
}

int tracer_copy_of(pid_t pid)
{
    for (unsigned i = process_count; i > 0; i--)
        if (processes[i - 1].pid == pid)
            return processes[i - 1].copy;
    return NO_COPY;
}

bool tracer_is_running(void)
{
    return root > 0 && find(root);
}

bool tracer_has_ended(pid_t pid, int *status)
{
    *status = last_status;
    return last_other == pid;
}

void tracer_signal(int number)
{
    if (tracer_is_running())
        kill(root, number);
}

/* A number of /proc/PID/status, 0: there is none. */
static pid_t read_status(pid_t pid, const char *name)
{
    char path[64];
    char line[256];
    pid_t value = 0;
    size_t len = strlen(name);

    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *file = fopen(path, "re");
    while (file && value == 0 && fgets(line, sizeof line, file))
        if (strncmp(line, name, len) == 0)
            value = (pid_t)strtol(line + len, NULL, 10);
    if (file)
        fclose(file);
    return value;
}

/* A thread is of its process; a process is of the one that has forked it. */
static int copy_of_parent(pid_t pid)
{
    pid_t leader = read_status(pid, "Tgid:");

    return tracer_copy_of(leader != pid ? leader : read_status(pid, "PPid:"));
}

static struct process *add(pid_t pid, int copy)
{
    if (process_count == PROCESSES_MAX)
        return NULL;
    struct process *process = &processes[process_count++];
    *process = (struct process){.pid = pid, .copy = copy};
    return process;
}

/* The parent is stopped at its fork until we have seen this: afterwards it may end, and the child
 * would have another parent. */
static void on_fork(const struct process *parent)
{
    unsigned long pid;

    if (ptrace(PTRACE_GETEVENTMSG, parent->pid, 0L, &pid) == 0 && !find((pid_t)pid))
        add((pid_t)pid, parent->copy);
}

/* The slot of a worker, by what its program was started with. */
static int read_slot(pid_t pid)
{
    char path[64];
    char *text = NULL;
    size_t size = 0;
    bool has_token = false;
    int slot = NO_COPY;

    snprintf(path, sizeof path, "/proc/%d/environ", (int)pid);
    FILE *file = fopen(path, "re");
    while (file && getdelim(&text, &size, '\0', file) > 0) {
        has_token |= strncmp(text, "SSHIM_TOKEN=", 12) == 0;
        if (strncmp(text, "SSHIM_WORKER_ID=", 16) == 0)
            slot = atoi(text + 16);
    }
    free(text);
    if (file)
        fclose(file);
    return has_token && slot < TRACER_COPIES ? slot : NO_COPY;
}

static bool is_our_machine(unsigned arch)
{
#if defined __x86_64__
    return arch == AUDIT_ARCH_X86_64;
#elif defined __aarch64__
    return arch == AUDIT_ARCH_AARCH64;
#else
    (void)arch;
    return true;
#endif
}

/* A stop at the begin or the end of a call. */
static void on_call(struct process *process)
{
    struct __ptrace_syscall_info info;

    if (ptrace(PTRACE_GET_SYSCALL_INFO, process->pid, sizeof info, &info) < 0 ||
        !is_our_machine(info.arch))
        return;
    if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
        process->call = (struct tracer_call){
            .pid = process->pid, .copy = (unsigned)process->copy, .number = info.entry.nr};
        memcpy(process->call.arguments, info.entry.args, sizeof process->call.arguments);
        tell(&process->call);
    } else if (info.op == PTRACE_SYSCALL_INFO_EXIT && process->call.pid) {
        process->call.is_done = true;
        process->call.result = info.exit.rval;
        tell(&process->call);
        process->call.pid = 0;
    }
}

static void go_on(const struct process *process, int number)
{
    ptrace(process->copy == NO_COPY ? PTRACE_CONT : PTRACE_SYSCALL, process->pid, 0L, (long)number);
}

/* The signals that stop a process, as PTRACE_EVENT_STOP reports them. */
static bool is_group_stop(int number)
{
    return number == SIGSTOP || number == SIGTSTP || number == SIGTTIN || number == SIGTTOU;
}

static void on_stop(struct process *process, int status)
{
    int number = WSTOPSIG(status);
    int copy;

    switch (STOP_OF(status)) {
    case 0:
        if (number == (SIGTRAP | 0x80)) {
            on_call(process);
            number = 0;
        }
        go_on(process, number);
        return;
    case PTRACE_EVENT_STOP:
        if (is_group_stop(number) && process->is_seized) {
            ptrace(PTRACE_LISTEN, process->pid, 0L, 0L);
            return;
        }
        process->is_seized = true;
        break;
    case PTRACE_EVENT_FORK:
    case PTRACE_EVENT_VFORK:
    case PTRACE_EVENT_CLONE: on_fork(process); break;
    case PTRACE_EVENT_EXEC:
        copy = read_slot(process->pid);
        process->copy = copy != NO_COPY ? copy : process->copy;
        break;
    default: break;
    }
    go_on(process, 0);
}

static void on_report(pid_t pid, int status)
{
    struct process *process = find(pid);

    if (!WIFSTOPPED(status)) {
        if (process) {
            process->is_gone = true;
        } else {
            last_other = pid;
            last_status = status;
        }
        return;
    }
    if (!process && !(process = add(pid, copy_of_parent(pid)))) {
        ptrace(PTRACE_DETACH, pid, 0L, 0L);
        return;
    }
    on_stop(process, status);
}

static void expect_children(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
}

static void be_the_program(char *const *argv, int output_fd, const int begin[2], int ready_fd)
{
    sigset_t none;
    char byte;
    int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    close(begin[1]);
    while (read(begin[0], &byte, 1) < 0 && errno == EINTR)
        ;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    dup2(null_fd, STDIN_FILENO);
    dup2(output_fd, STDOUT_FILENO);
    dup2(output_fd, STDERR_FILENO);
    fcntl(ready_fd, F_SETFD, 0);
    setpgid(0, 0); /* Ctrl-C is for us */
    execv(argv[0], argv);
    dprintf(STDERR_FILENO, "cannot execute %s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

bool tracer_start(char *const *argv, int output_fd, int ready_fd,
                  void (*on_call_)(const struct tracer_call *call))
{
    int begin[2];

    tell = on_call_;
    expect_children();
    if (pipe2(begin, O_CLOEXEC) < 0)
        return false;
    root = fork();
    if (root == 0)
        be_the_program(argv, output_fd, begin, ready_fd);
    close(begin[0]);
    bool is_traced =
        root > 0 && add(root, NO_COPY) && ptrace(PTRACE_SEIZE, root, 0L, (long)OPTIONS) == 0;
    int saved = errno;
    if (!is_traced && root > 0) {
        kill(root, SIGKILL);
        waitpid(root, NULL, 0);
        root = 0;
    }
    close(begin[1]);
    errno = saved;
    return is_traced;
}

int64_t tracer_now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool serve_reports(void)
{
    bool any = false;
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, __WALL | WNOHANG)) > 0) {
        on_report(pid, status);
        any = true;
    }
    return any;
}

void tracer_serve(int timeout_ms)
{
    int64_t end_ms = tracer_now_ms() + timeout_ms;
    struct timespec pause = {0, 10000000};
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    do {
        if (!serve_reports())
            sigtimedwait(&set, NULL, &pause);
    } while (tracer_now_ms() < end_ms);
    serve_reports();
}

void tracer_end(void)
{
    int status;

    for (unsigned i = 0; i < process_count; i++)
        if (!processes[i].is_gone)
            kill(processes[i].pid, SIGKILL);
    while (waitpid(-1, &status, __WALL) > 0)
        ;
}
