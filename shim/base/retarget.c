/* retarget.c - see retarget.h. */
#include "shim/base/retarget.h"

#include <errno.h>
#include <fcntl.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shim/base/fdmap.h"
#include "shim/base/next.h"

static bool plan_has(const struct retarget_plan *plan, int fd)
{
    for (int i = 0; i < plan->fd_count; i++)
        if (plan->fds[i] == fd)
            return true;
    return false;
}

/* Skips spaces, reads a number of this base and moves *text behind it. */
static uint64_t parse_number(const char **text, int base)
{
    uint64_t value = 0;

    while (**text == ' ' || **text == '\t')
        (*text)++;
    for (;; (*text)++) {
        char c = **text;
        int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : 99;
        if (digit >= base)
            return value;
        value = value * (uint64_t)base + (uint64_t)digit;
    }
}

static void append_number(char *end, unsigned value)
{
    char digits[12];
    int n = 0;

    do
        digits[n++] = (char)('0' + value % 10);
    while ((value /= 10) != 0);
    while (n > 0)
        *end++ = digits[--n];
    *end = '\0';
}

/* linux_dirent64 of getdents64(2); not every C library has it. */
struct kernel_entry {
    uint64_t ino;
    int64_t offset;
    uint16_t size;
    uint8_t type;
    char name[];
};

bool retarget_each_open_fd(void (*visit)(int fd, void *context), void *context)
{
    alignas(8) char buffer[256];
    int dir_fd = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (dir_fd < 0)
        return false;
    for (;;) {
        long got = NEXT(syscall)(SYS_getdents64, (long)dir_fd, buffer, sizeof buffer);
        if (got <= 0)
            break;
        for (long at = 0; at < got;) {
            const struct kernel_entry *entry = (const void *)(buffer + at);
            const char *name = entry->name;
            at += entry->size;
            int fd = name[0] >= '0' && name[0] <= '9' ? (int)parse_number(&name, 10) : -1;
            if (fd >= 0 && fd != dir_fd)
                visit(fd, context);
        }
    }
    NEXT(close)(dir_fd);
    return true;
}

struct dup_search {
    struct retarget_plan *plan;
    dev_t dev;
    ino_t ino;
    bool has_anonymous; /* descriptors whose kind only their name tells */
};

/* As an epoll instance, an eventfd or a timer: fstat(2) tells no type. */
static bool is_anonymous(mode_t mode)
{
    return (mode & S_IFMT) == 0;
}

static void visit_dup(int fd, void *context)
{
    struct dup_search *search = context;
    struct retarget_plan *plan = search->plan;
    struct stat info;

    if (fdmap_get(fd).kind == FDMAP_HIDDEN || fstat(fd, &info) < 0)
        return;
    if (is_anonymous(info.st_mode))
        search->has_anonymous = true;
    if (info.st_ino == search->ino && info.st_dev == search->dev && plan->fd_count < RETARGET_MAX &&
        !plan_has(plan, fd))
        plan->fds[plan->fd_count++] = fd;
}

/* One line of fdinfo: "tfd:        4 events: 80000019 data:     7f0000000004  pos:0 ino:1c sdev:8"
 */
static void parse_registration(struct retarget_plan *plan, int epoll_fd, const char *line)
{
    static const char head[] = "tfd:";

    if (strncmp(line, head, sizeof head - 1) != 0 || plan->registration_count == RETARGET_MAX)
        return;
    line += sizeof head - 1;
    int fd = (int)parse_number(&line, 10);
    const char *events = strstr(line, "events:");
    const char *data = strstr(line, "data:");
    if (!events || !data || !plan_has(plan, fd))
        return;
    events += sizeof "events:" - 1;
    data += sizeof "data:" - 1;
    struct retarget_registration *registration = &plan->registrations[plan->registration_count++];
    registration->epoll_fd = epoll_fd;
    registration->fd = fd;
    registration->event.events = (uint32_t)parse_number(&events, 16);
    registration->event.data.u64 = parse_number(&data, 16);
}

static void parse_registrations(struct retarget_plan *plan, int epoll_fd, int info_fd)
{
    char *text = plan->text;
    size_t kept = 0;

    for (;;) {
        ssize_t got = read(info_fd, text + kept, RETARGET_TEXT - 1 - kept);
        if (got <= 0)
            return;
        kept += (size_t)got;
        text[kept] = '\0';
        char *line = text;
        for (char *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
            *end = '\0';
            parse_registration(plan, epoll_fd, line);
        }
        kept = strlen(line);
        memmove(text, line, kept);
        if (kept == RETARGET_TEXT - 1)
            return; /* no line of fdinfo is that long */
    }
}

static void visit_epoll(int fd, void *context)
{
    char path[48] = "/proc/self/fd/";
    char link[32];

    append_number(path + strlen(path), (unsigned)fd);
    if (fdmap_get(fd).kind == FDMAP_LISTENER || fdmap_get(fd).kind == FDMAP_HIDDEN)
        return; /* a server may have hundreds */
    ssize_t len = readlink(path, link, sizeof link - 1);
    if (len < 0)
        return;
    link[len] = '\0';
    if (strcmp(link, "anon_inode:[eventpoll]") != 0)
        return;
    memcpy(path, "/proc/self/fdinfo/", sizeof "/proc/self/fdinfo/");
    append_number(path + strlen(path), (unsigned)fd);
    int info_fd = open(path, O_RDONLY | O_CLOEXEC);
    if (info_fd < 0)
        return;
    parse_registrations(context, fd, info_fd);
    NEXT(close)(info_fd);
}

/* What has no epoll instance yet, as most servers at bind, is read once and without names: a name
 * costs 2.8 us, fstat(2) 0.4 us. */
static void fill(struct retarget_plan *plan, int fd)
{
    struct stat info;

    plan->fds[0] = fd;
    plan->fd_count = 1;
    if (fstat(fd, &info) < 0)
        return;
    struct dup_search search = {plan, info.st_dev, info.st_ino, false};
    plan->is_blind = !retarget_each_open_fd(visit_dup, &search);
    if (!plan->is_blind && search.has_anonymous)
        retarget_each_open_fd(visit_epoll, plan);
}

struct retarget_plan *retarget_plan_create(int fd)
{
    struct retarget_plan *plan =
        mmap(NULL, sizeof *plan, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (plan == MAP_FAILED)
        return NULL;
    fill(plan, fd);
    return plan;
}

void retarget_plan_destroy(struct retarget_plan *plan)
{
    munmap(plan, sizeof *plan);
}

static int replace(int fd, int new_fd)
{
    int flags = NEXT(fcntl)(fd, F_GETFD);
    return NEXT(dup3)(new_fd, fd, flags >= 0 && (flags & FD_CLOEXEC) ? O_CLOEXEC : 0);
}

int retarget_replace(const struct retarget_plan *plan, int new_fd)
{
    for (int i = 0; i < plan->fd_count; i++)
        if (replace(plan->fds[i], new_fd) < 0)
            return -1;
    return 0;
}
