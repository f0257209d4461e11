/* preload_check.c - see preload_check.h. */
#include "broker/diagnose/preload_check.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "broker/base/broker.h"
#include "broker/base/process/procfs.h"
#include "broker/base/turn.h"
#include "broker/base/process/aside.h"
#include "broker/base/process/glance.h"
#include "broker/diagnose/procnet.h"

#define PROCESSES_MAX 64 /* of one worker that are looked at */

struct process {
    pid_t pid;
    int parent;   /* index, -1: the root */
    bool mapped;  /* the library is in it */
    bool listens; /* on a socket of its own */
    bool cleared; /* its environment names no library to preload */
};

struct tree {
    struct process at[PROCESSES_MAX];
    int count;
};

static bool maps_library(pid_t pid)
{
    const char *name = strrchr(broker.library_path, '/');

    return glance_maps(pid, "/libsshim") || (name && glance_maps(pid, name));
}

static bool has_cleared(pid_t pid)
{
    char path[32];
    char preload[sizeof broker.library_path];

    snprintf(path, sizeof path, "/proc/%d/environ", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false; /* not known */
    close(fd);
    return !glance_get_environment(pid, "LD_PRELOAD", preload, sizeof preload) || !*preload;
}

/* By an LD_PRELOAD of another program. */
static bool has_replaced(pid_t pid)
{
    char preload[4096];
    const char *name = strrchr(broker.library_path, '/');

    return glance_get_environment(pid, "LD_PRELOAD", preload, sizeof preload) && *preload && name &&
           !strstr(preload, name);
}

static int find_process(const struct tree *tree, pid_t pid)
{
    int i = tree->count;

    while (--i >= 0 && tree->at[i].pid != pid)
        ;
    return i;
}

/* Parents come first in the list. False: there is no time for all of them. */
static bool look_at_tree(pid_t root, struct tree *tree, struct preload_check_report *report)
{
    struct procfs_list list;

    procfs_list_tree(root, &list);
    for (unsigned i = 0; i < list.count && i < PROCESSES_MAX && turn_has_time(); i++) {
        pid_t pid = list.at[i];
        tree->at[tree->count] = (struct process){
            .pid = pid,
            .parent = find_process(tree, procfs_parent(pid)),
            .mapped = maps_library(pid),
            .listens = procnet_find_listening(pid, report->listens_on, sizeof report->listens_on),
            .cleared = has_cleared(pid),
        };
        tree->count++;
    }
    return turn_has_time();
}

static bool is_ancestor(const struct tree *tree, int ancestor, int process)
{
    while (process >= 0 && process != ancestor)
        process = tree->at[process].parent;
    return process == ancestor;
}

/* Whether a process with the library, other than those that led to this one, may be the server. */
static bool may_be_a_helper(const struct tree *tree, int process)
{
    for (int i = 0; i < tree->count; i++)
        if (tree->at[i].mapped && !is_ancestor(tree, i, process))
            return true;
    return false;
}

static void format_exe(pid_t pid, char path[32])
{
    snprintf(path, 32, "/proc/%d/exe", (int)pid);
}

/* The two questions about a program's file, by a helper: its file system may be the worker's own,
 * and then it may not answer, or cut the file short. */

static bool is_around_libc(const void *question, void *answer)
{
    char path[32];

    (void)answer;
    format_exe(*(const pid_t *)question, path);
    return check_bypasses_libc(path);
}

static bool is_unfit_file(const void *question, void *answer)
{
    char path[32];

    format_exe(*(const pid_t *)question, path);
    return check_program(path, broker.library_path, answer) == CHECK_REFUSED;
}

static bool bypasses_library(const struct process *process)
{
    pid_t pid = process->pid;
    char none;

    return !process->mapped || aside_ask(is_around_libc, pid, &pid, sizeof pid, &none, 0);
}

/* Names the program's file, and the reason where the file itself is one. */
static bool has_unfit_file(pid_t pid, struct check_report *check)
{
    char path[32];
    bool unfit = aside_ask(is_unfit_file, pid, &pid, sizeof pid, check, sizeof *check);

    format_exe(pid, path);
    snprintf(check->program, sizeof check->program, "%s", path);
    ssize_t len = readlink(path, check->program, sizeof check->program - 1);
    if (len > 0)
        check->program[len] = '\0';
    return unfit;
}

static void explain(const struct process *process, struct preload_check_report *report)
{
    struct check_report *check = &report->check;

    report->pid = process->pid;
    if (has_unfit_file(process->pid, check))
        return;
    if (procfs_is_secure(process->pid)) /* first: its loader clears variables as well */
        snprintf(check->reason, sizeof check->reason,
                 "it gained rights by its execution (setuid, capabilities), so that its loader "
                 "ignored LD_PRELOAD; start sshim as root with --user instead");
    else if (process->cleared)
        snprintf(check->reason, sizeof check->reason,
                 "its environment was cleared; let what starts it keep LD_PRELOAD and the SSHIM_ "
                 "variables (no env -i, sudo -E)");
    else if (has_replaced(process->pid))
        snprintf(check->reason, sizeof check->reason,
                 "its launcher has replaced LD_PRELOAD; let the launcher write "
                 "LD_PRELOAD=ITS-LIBRARY:$LD_PRELOAD");
    else
        snprintf(check->reason, sizeof check->reason,
                 "its loader ignored LD_PRELOAD; LD_DEBUG=files in its environment shows why");
}

/* A process that listens by itself, without the library or around it. */
static bool find_deserter(const struct tree *tree, bool last, struct preload_check_report *report)
{
    for (int i = 0; i < tree->count; i++) {
        const struct process *process = &tree->at[i];
        if (!process->listens || !bypasses_library(process))
            continue;
        if (!last && may_be_a_helper(tree, i))
            continue;
        explain(process, report);
        return true;
    }
    return false;
}

static bool is_nowhere(const struct tree *tree, bool last)
{
    for (int i = 0; i < tree->count; i++)
        if (tree->at[i].mapped || (!last && !tree->at[i].cleared))
            return false;
    return true;
}

bool preload_check_is_missing(pid_t root, bool last, struct preload_check_report *report)
{
    struct tree tree = {.count = 0};

    *report = (struct preload_check_report){.pid = root};
    report->is_cut = !look_at_tree(root, &tree, report);
    if (report->is_cut)
        return false; /* what was not seen may be all that counts */
    if (find_deserter(&tree, last, report))
        return true;
    if (!is_nowhere(&tree, last))
        return false;
    explain(&tree.at[0], report);
    return true;
}

bool preload_check_is_past(pid_t root, struct preload_check_report *report)
{
    struct procfs_list list;

    *report = (struct preload_check_report){.pid = root};
    procfs_list_tree(root, &list);
    for (unsigned i = 0; i < list.count && (i == 0 || turn_has_time()); i++) {
        struct process process = {.pid = list.at[i], .mapped = maps_library(list.at[i])};
        if (bypasses_library(&process) ||
            !procnet_find_fixed(list.at[i], report->listens_on, sizeof report->listens_on))
            continue;
        report->pid = list.at[i];
        has_unfit_file(list.at[i], &report->check);
        snprintf(report->check.reason, sizeof report->check.reason,
                 "it takes bind and listen from libc itself, or makes the calls by itself; give "
                 "--intercept seccomp");
        return true;
    }
    return false;
}
