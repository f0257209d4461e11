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
#include <time.h>
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

/* A file of the process, to read; NULL: it is gone. */
static FILE *open_file(pid_t pid, const char *name)
{
    char path[48];

    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    return fopen(path, "re");
}

/* What stands behind its name in its stat, " STATE PPID ...": the name may hold anything, so look
 * from its end. NULL: there is no such process. */
static const char *read_stat(pid_t pid, char *text, size_t size)
{
    FILE *file = open_file(pid, "stat");

    if (!file)
        return NULL;
    text[fread(text, 1, size - 1, file)] = '\0';
    fclose(file);
    const char *end = strrchr(text, ')');
    return end ? end + 1 : NULL;
}

/* The state (0: there is no such process) and the parent. */
static char read_state(pid_t pid, int *parent)
{
    char text[512];
    const char *stat = read_stat(pid, text, sizeof text);
    char state;

    return stat && sscanf(stat, " %c %d", &state, parent) == 2 ? state : '\0';
}

/* An ended process has no parent. */
pid_t procfs_parent(pid_t pid)
{
    int parent;
    char state = read_state(pid, &parent);

    return !state || state == 'Z' || state == 'X' ? 0 : parent;
}

/* The number behind NAME in a file of lines "NAME VALUE", -1 where it is not there. */
static long read_number(pid_t pid, const char *file_name, const char *name, int base)
{
    char line[256];
    long number = -1;
    FILE *file = open_file(pid, file_name);

    while (file && number < 0 && fgets(line, sizeof line, file))
        if (strncmp(line, name, strlen(name)) == 0)
            number = strtol(line + strlen(name), NULL, base);
    if (file)
        fclose(file);
    return number;
}

pid_t procfs_process_of(pid_t thread)
{
    long pid = read_number(thread, "status", "Tgid:", 10);

    return pid > 0 ? (pid_t)pid : 0;
}

bool procfs_is_stopped(pid_t pid)
{
    int parent;
    char state = read_state(pid, &parent);

    return state == 'T' || state == 't';
}

bool procfs_is_running(pid_t pid)
{
    int parent;

    return read_state(pid, &parent) == 'R';
}

/* All of its memory, and what of it is resident, in pages. */
static bool read_pages(pid_t pid, unsigned long *all, unsigned long *resident)
{
    FILE *file = open_file(pid, "statm");

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

    return read_pages(pid, &all, &resident) && all == 0 && read_state(pid, &parent) != 'Z';
}

/* 0 is for no process. */
static uint32_t not_zero(uint64_t ticks)
{
    return (uint32_t)ticks ? (uint32_t)ticks : 1;
}

uint32_t procfs_birth(pid_t pid)
{
    char text[1024];
    const char *stat = read_stat(pid, text, sizeof text);
    unsigned long long ticks;

    for (int field = 0; stat && field < 20; field++) /* the start time is the 20th */
        stat = strchr(stat + (field > 0), ' ');
    if (!stat || sscanf(stat, " %llu", &ticks) != 1)
        return 0;
    return not_zero(ticks);
}

/* proc(5), starttime: CLOCK_BOOTTIME of the reader's time namespace. */
uint32_t procfs_birth_now(void)
{
    uint64_t tick_ns = 1000000000u / (uint64_t)sysconf(_SC_CLK_TCK);
    struct timespec now;

    clock_gettime(CLOCK_BOOTTIME, &now);
    return not_zero(((uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec) / tick_ns);
}

uint32_t procfs_birth_since(pid_t pid, uint32_t from)
{
    static enum { UNKNOWN, SAME, DIFFERENT } clocks;

    bool is_sure = from == procfs_birth_now();
    if (is_sure && clocks == SAME)
        return from;
    uint32_t birth = procfs_birth(pid);
    if (is_sure && birth && clocks == UNKNOWN)
        clocks = birth == from ? SAME : DIFFERENT;
    return birth;
}

pid_t procfs_next(DIR *folder)
{
    const struct dirent *entry;

    while ((entry = readdir(folder)) != NULL)
        if (isdigit((unsigned char)entry->d_name[0]))
            return (pid_t)atoi(entry->d_name);
    return 0;
}

void procfs_each(void (*visit)(pid_t pid, void *context), void *context)
{
    DIR *dir = opendir("/proc");
    pid_t pid;

    if (!dir)
        return;
    while ((pid = procfs_next(dir)) > 0)
        visit(pid, context);
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
    char path[64];
    pid_t thread;
    bool listed = true;
    unsigned steps = 0;

    snprintf(path, sizeof path, "/proc/%d/task", (int)parent);
    DIR *dir = opendir(path);
    if (!dir)
        return;
    while (listed && (thread = procfs_next(dir)) > 0) {
        list->is_whole &= may_step(&steps);
        if (!list->is_whole)
            break;
        snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)parent, (int)thread);
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
    char line[256];
    unsigned real;
    unsigned effective;
    bool found = false;
    FILE *file = open_file(pid, "status");

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
    char line[32] = "";
    FILE *file = open_file(pid, "comm");

    if (file && fgets(line, sizeof line, file))
        line[strcspn(line, "\n")] = '\0';
    if (file)
        fclose(file);
    for (char *c = line; *c; c++) /* the process has chosen it */
        if (!isprint((unsigned char)*c))
            *c = '?';
    snprintf(name, size, "%s", *line ? line : "?");
}

/* Its place in the folder is its number and 2, for "." and "..", since Linux 2.6. */
static void skip_to(DIR *dir, int fd)
{
    if (fd > 0)
        seekdir(dir, fd + 2);
}

bool procfs_each_link_from(pid_t pid, int *fd,
                           bool (*visit)(int fd, const char *link, void *context), void *context)
{
    char path[32];
    char link[64];
    struct dirent *entry;
    bool goes_on = true;
    bool is_whole = true;
    unsigned steps = 0;

    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    DIR *dir = opendir(path);
    if (!dir)
        return true;
    skip_to(dir, *fd);
    while (goes_on && (is_whole = may_step(&steps)) && (entry = readdir(dir)) != NULL) {
        ssize_t len = readlinkat(dirfd(dir), entry->d_name, link, sizeof link - 1);
        link[len < 0 ? 0 : len] = '\0';
        goes_on = visit(atoi(entry->d_name), link, context);
        *fd = atoi(entry->d_name) + 1;
    }
    closedir(dir);
    return is_whole;
}

bool procfs_each_link(pid_t pid, bool (*visit)(int fd, const char *link, void *context),
                      void *context)
{
    int fd = 0;

    return procfs_each_link_from(pid, &fd, visit, context);
}

struct link_search {
    const char *wanted;
    int fd;
};

static bool compare_link(int fd, const char *link, void *context)
{
    struct link_search *search = context;

    if (strcmp(link, search->wanted) == 0)
        search->fd = fd;
    return search->fd < 0;
}

/* The number of the first descriptor that links there, or -1. */
static int find_link(pid_t pid, const char *wanted)
{
    struct link_search search = {wanted, -1};

    procfs_each_link(pid, compare_link, &search);
    return search.fd;
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

bool procfs_list_has_link(const struct procfs_list *list, const char *wanted)
{
    for (unsigned i = 0; i < list->count; i++)
        if (find_link(list->at[i], wanted) >= 0)
            return true;
    return false;
}

bool procfs_tree_holds_socket(pid_t root, ino_t ino)
{
    struct procfs_list tree;
    char link[48];

    procfs_list_tree(root, &tree);
    name_link(link, sizeof link, ino);
    return procfs_list_has_link(&tree, link) || !tree.is_whole || !has_time();
}

bool procfs_is_secure(pid_t pid)
{
    unsigned long pairs[64][2];
    FILE *file = open_file(pid, "auxv");
    size_t count = file ? fread(pairs, sizeof pairs[0], sizeof pairs / sizeof pairs[0], file) : 0;

    if (file)
        fclose(file);
    for (size_t i = 0; i < count; i++)
        if (pairs[i][0] == AT_SECURE)
            return pairs[i][1] != 0;
    return false;
}
