/* procfs.c - proc(5). */
#include "broker/base/process/procfs.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#define STEPS 64 /* between looks at the clock */

static bool (*budget)(void);

void procfs_init(bool (*has_time)(void))
{
    budget = has_time;
}

static bool has_time(void)
{
    return !budget || budget();
}

/* Whether the loop that calls this for each of its steps may go on. */
static bool may_step(unsigned *steps)
{
    return ++*steps % STEPS != 0 || has_time();
}

/* The state (0: there is no such process) and the parent. */
static char read_stat(pid_t pid, int *parent)
{
    char path[32];
    char text[512];

    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return '\0';
    size_t len = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[len] = '\0';
    /* "PID (NAME) STATE PPID": the name may hold anything, so look from its end. */
    const char *end = strrchr(text, ')');
    char state;
    return end && sscanf(end + 1, " %c %d", &state, parent) == 2 ? state : '\0';
}

/* An ended process has no parent. */
pid_t procfs_parent(pid_t pid)
{
    int parent;
    char state = read_stat(pid, &parent);

    return !state || state == 'Z' || state == 'X' ? 0 : parent;
}

/* The number behind NAME in a file of lines "NAME VALUE", -1 where it is not there. */
static long read_number(const char *path, const char *name, int base)
{
    char line[256];
    long number = -1;
    FILE *file = fopen(path, "re");

    while (file && number < 0 && fgets(line, sizeof line, file))
        if (strncmp(line, name, strlen(name)) == 0)
            number = strtol(line + strlen(name), NULL, base);
    if (file)
        fclose(file);
    return number;
}

pid_t procfs_process_of(pid_t thread)
{
    char path[32];

    snprintf(path, sizeof path, "/proc/%d/status", (int)thread);
    long pid = read_number(path, "Tgid:", 10);
    return pid > 0 ? (pid_t)pid : 0;
}

bool procfs_closes_on_exec(pid_t pid, int fd)
{
    char path[48];

    snprintf(path, sizeof path, "/proc/%d/fdinfo/%d", (int)pid, fd);
    long flags = read_number(path, "flags:", 8);
    return flags >= 0 && (flags & O_CLOEXEC);
}

bool procfs_is_stopped(pid_t pid)
{
    int parent;
    char state = read_stat(pid, &parent);

    return state == 'T' || state == 't';
}

bool procfs_is_running(pid_t pid)
{
    int parent;

    return read_stat(pid, &parent) == 'R';
}

/* All of its memory, and what of it is resident, in pages. */
static bool read_pages(pid_t pid, unsigned long *all, unsigned long *resident)
{
    char path[32];

    snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    bool is_read = fscanf(file, "%lu %lu", all, resident) == 2;
    fclose(file);
    return is_read;
}

uint64_t procfs_resident_bytes(pid_t pid)
{
    unsigned long all;
    unsigned long resident;

    return read_pages(pid, &all, &resident) ? (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE)
                                            : 0;
}

bool procfs_is_ending(pid_t pid)
{
    unsigned long all;
    unsigned long resident;
    int parent;

    return read_pages(pid, &all, &resident) && all == 0 && read_stat(pid, &parent) != 'Z';
}

uint32_t procfs_birth(pid_t pid)
{
    char path[32];
    char text[1024];
    unsigned long long ticks;

    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return 0;
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    const char *end = strrchr(text, ')'); /* as above; the start time is the 20th field after it */
    for (int field = 0; end && field < 20; field++)
        end = strchr(end + 1, ' ');
    if (!end || sscanf(end, " %llu", &ticks) != 1)
        return 0;
    return (uint32_t)ticks ? (uint32_t)ticks : 1;
}

void procfs_each(void (*visit)(pid_t pid, void *context), void *context)
{
    DIR *dir = opendir("/proc");
    struct dirent *entry;

    if (!dir)
        return;
    while ((entry = readdir(dir)) != NULL)
        if (isdigit((unsigned char)entry->d_name[0]))
            visit((pid_t)atoi(entry->d_name), context);
    closedir(dir);
}

static void append(struct procfs_list *list, pid_t pid)
{
    bool is_full = list->count == PROCFS_LIST_MAX;

    list->is_whole &= !is_full;
    if (is_full && list->keeps_newest) {
        list->count /= 2;
        memmove(list->at, list->at + list->count, list->count * sizeof list->at[0]);
    } else if (is_full) {
        return;
    }
    list->at[list->count++] = pid;
}

struct child_search {
    pid_t parent;
    struct procfs_list *list;
};

static void visit_if_child(pid_t pid, void *context)
{
    const struct child_search *search = context;

    if (!has_time())
        search->list->is_whole = false;
    else if (procfs_parent(pid) == search->parent)
        append(search->list, pid);
}

/* False: this kernel does not list children (proc(5), since Linux 3.5, if so configured). */
static bool list_children_of_thread(const char *path, struct procfs_list *list)
{
    FILE *file = fopen(path, "re");
    int pid;
    unsigned steps = 0;

    if (!file)
        return false;
    while (fscanf(file, "%d", &pid) == 1) {
        append(list, pid);
        if (!may_step(&steps)) {
            list->is_whole = false;
            break;
        }
    }
    fclose(file);
    return true;
}

static void append_children(pid_t parent, struct procfs_list *list)
{
    char path[320];
    struct dirent *entry;
    bool listed = true;
    unsigned steps = 0;

    snprintf(path, sizeof path, "/proc/%d/task", (int)parent);
    DIR *dir = opendir(path);
    if (!dir)
        return;
    while (listed && (entry = readdir(dir)) != NULL) {
        if (!isdigit((unsigned char)entry->d_name[0]))
            continue;
        list->is_whole &= may_step(&steps);
        if (!list->is_whole)
            break;
        snprintf(path, sizeof path, "/proc/%d/task/%s/children", (int)parent, entry->d_name);
        listed = list_children_of_thread(path, list);
    }
    closedir(dir);
    if (!listed)
        procfs_each(visit_if_child, &(struct child_search){parent, list});
}

void procfs_list_children(pid_t parent, struct procfs_list *list)
{
    *list = (struct procfs_list){.is_whole = true, .keeps_newest = true};
    append_children(parent, list);
}

/* Those that have ended, and those of another parent by now, are taken out again. */
static void keep_children(struct procfs_list *list, unsigned from, pid_t parent)
{
    unsigned kept = from;

    for (unsigned i = from; i < list->count; i++) {
        if (!has_time())
            list->is_whole = false;
        else if (procfs_parent(list->at[i]) == parent)
            list->at[kept++] = list->at[i];
    }
    list->count = kept;
}

void procfs_list_tree(pid_t root, struct procfs_list *list)
{
    *list = (struct procfs_list){.is_whole = true, .count = 1, .at = {root}};
    for (unsigned i = 0; i < list->count && list->is_whole; i++) {
        unsigned from = list->count;
        append_children(list->at[i], list);
        keep_children(list, from, list->at[i]);
    }
}

bool procfs_get_uid(pid_t pid, uid_t *uid)
{
    char path[32];
    char line[256];
    unsigned real;
    unsigned effective;
    bool found = false;

    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    while (!found && fgets(line, sizeof line, file))
        found = sscanf(line, "Uid: %u %u", &real, &effective) == 2 && real == effective;
    fclose(file);
    *uid = found ? real : (uid_t)-1;
    return found;
}

void procfs_get_command(pid_t pid, char *name, size_t size)
{
    char path[32];
    char line[32] = "";

    snprintf(path, sizeof path, "/proc/%d/comm", (int)pid);
    FILE *file = fopen(path, "re");
    if (file && fgets(line, sizeof line, file))
        line[strcspn(line, "\n")] = '\0';
    if (file)
        fclose(file);
    for (char *c = line; *c; c++) /* the process has chosen it */
        if (!isprint((unsigned char)*c))
            *c = '?';
    snprintf(name, size, "%s", *line ? line : "?");
}

/* The number of the first descriptor that links there, or -1. */
static int find_link(pid_t pid, const char *wanted)
{
    char path[64];
    char link[64];
    struct dirent *entry;
    int number = -1;
    unsigned steps = 0;

    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    DIR *dir = opendir(path);
    if (!dir)
        return -1;
    while (number < 0 && may_step(&steps) && (entry = readdir(dir)) != NULL) {
        ssize_t len = readlinkat(dirfd(dir), entry->d_name, link, sizeof link - 1);
        link[len < 0 ? 0 : len] = '\0';
        if (strcmp(link, wanted) == 0)
            number = atoi(entry->d_name);
    }
    closedir(dir);
    return number;
}

static void name_link(char *link, size_t size, ino_t ino)
{
    snprintf(link, size, "socket:[%llu]", (unsigned long long)ino);
}

int procfs_find_socket(pid_t pid, ino_t ino)
{
    char link[48];

    name_link(link, sizeof link, ino);
    return find_link(pid, link);
}

static bool find_link_in_tree(const struct procfs_list *tree, const char *wanted)
{
    for (unsigned i = 0; i < tree->count; i++)
        if (find_link(tree->at[i], wanted) >= 0)
            return true;
    return false;
}

bool procfs_tree_holds_socket(pid_t root, ino_t ino)
{
    struct procfs_list tree;
    char link[48];

    procfs_list_tree(root, &tree);
    name_link(link, sizeof link, ino);
    return find_link_in_tree(&tree, link) || !tree.is_whole || !has_time();
}

bool procfs_tree_has_ring(pid_t root)
{
    struct procfs_list tree;

    procfs_list_tree(root, &tree);
    return find_link_in_tree(&tree, "anon_inode:[io_uring]");
}

bool procfs_is_secure(pid_t pid)
{
    char path[32];
    unsigned long pairs[64][2];

    snprintf(path, sizeof path, "/proc/%d/auxv", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? -1 : read(fd, pairs, sizeof pairs);
    if (fd >= 0)
        close(fd);
    for (size_t i = 0; len > 0 && i < (size_t)len / sizeof pairs[0]; i++)
        if (pairs[i][0] == AT_SECURE)
            return pairs[i][1] != 0;
    return false;
}

void procfs_get_cgroup(char *path, size_t size)
{
    char line[PATH_MAX];
    FILE *file = fopen("/proc/self/cgroup", "re");

    snprintf(path, size, "/");
    while (file && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = '\0';
        /* The others are groups of version 1. */
        if (strncmp(line, "0::/", 4) == 0 && strlen(line + 3) < size)
            memcpy(path, line + 3, strlen(line + 3) + 1);
    }
    if (file)
        fclose(file);
}

/* "max 100000" or "150000 100000": so many microseconds of a processor in each period. */
static unsigned read_cpu_max(const char *folder)
{
    char path[PATH_MAX + sizeof "/cpu.max"];
    unsigned long long quota;
    unsigned long long period;

    snprintf(path, sizeof path, "%s/cpu.max", folder);
    FILE *file = fopen(path, "re");
    if (!file)
        return 0;
    bool limits = fscanf(file, "%llu %llu", &quota, &period) == 2 && period > 0;
    fclose(file);
    unsigned long long processors = limits ? (quota + period - 1) / period : 0;
    return processors > UINT_MAX ? 0 : (unsigned)processors;
}

unsigned procfs_cpu_limit(const char *root, const char *path)
{
    char folder[PATH_MAX];
    unsigned smallest = 0;

    int len = snprintf(folder, sizeof folder, "%s%s", root, path);
    if (strstr(path, "..") || len < 0 || (size_t)len >= sizeof folder)
        return 0; /* outside of what this namespace sees */
    while (strlen(folder) >= strlen(root)) {
        unsigned limit = read_cpu_max(folder);
        if (limit > 0 && (smallest == 0 || limit < smallest))
            smallest = limit;
        char *slash = strrchr(folder, '/');
        if (!slash)
            break;
        *slash = '\0';
    }
    return smallest;
}
