/* evidence.c - see evidence.h. */
#include "observe/trial/evidence.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#define THINGS_MAX 1024
#define INTERRUPTED 512 /* ERESTARTSYS of the kernel, and those after it */
#define SQLITE "SQLite format 3"

static struct thing things[THINGS_MAX];
static unsigned thing_count;
static const char *own_folder;

static struct thing *find(const char *name)
{
    for (unsigned i = 0; i < thing_count; i++)
        if (strcmp(things[i].name, name) == 0)
            return &things[i];
    return NULL;
}

/* Devices, and what only looks like a file, are no thing; nor is what is ours. */
static bool is_of_interest(const char *name)
{
    static const char *const others[] = {"/proc/", "/sys/", "/memfd:", "/SYSV"};

    if (strncmp(name, own_folder, strlen(own_folder)) == 0)
        return false;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (strncmp(name, others[i], strlen(others[i])) == 0)
            return false;
    return strncmp(name, "/dev/", 5) != 0 || strncmp(name, "/dev/shm/", 9) == 0;
}

/* NULL: it is of no interest, or there are too many. */
static struct thing *find_or_add(const char *name)
{
    struct thing *thing = find(name);

    if (thing || thing_count == THINGS_MAX || !is_of_interest(name))
        return thing;
    thing = &things[thing_count++];
    *thing = (struct thing){.appends = {true, true}};
    snprintf(thing->name, sizeof thing->name, "%s", name);
    return thing;
}

/* --- what the calls mean: reading another process --- */

static bool read_memory(pid_t pid, uint64_t address, void *to, size_t size)
{
    struct iovec here = {to, size};
    struct iovec there = {(void *)(uintptr_t)address, size};

    return process_vm_readv(pid, &here, 1, &there, 1, 0) == (ssize_t)size;
}

/* A page at a time: what is behind the text may not be there. */
static bool read_text(pid_t pid, uint64_t address, char text[PATH_MAX])
{
    size_t used = 0;

    while (used < PATH_MAX) {
        size_t piece = 4096 - (address + used) % 4096;
        piece = piece < PATH_MAX - used ? piece : PATH_MAX - used;
        if (!read_memory(pid, address + used, text + used, piece))
            return false;
        if (memchr(text + used, '\0', piece))
            return true;
        used += piece;
    }
    return false;
}

static bool read_link(char path[PATH_MAX], const char *from)
{
    ssize_t len = readlink(from, path, PATH_MAX - 1);

    path[len > 0 ? len : 0] = '\0';
    return len > 0;
}

static bool name_of_fd(pid_t pid, uint64_t fd, char name[PATH_MAX])
{
    char from[64];

    snprintf(from, sizeof from, "/proc/%d/fd/%d", (int)pid, (int)fd);
    return read_link(name, from) && name[0] == '/';
}

static bool add_component(char path[PATH_MAX], const char *component)
{
    size_t len = strlen(path);

    return (size_t)snprintf(path + len, PATH_MAX - len, "%s%s",
                            len && path[len - 1] == '/' ? "" : "/", component) < PATH_MAX - len;
}

/* The folder's links are followed, so that one file has one name. */
static void follow_links(char path[PATH_MAX])
{
    char *slash = strrchr(path, '/');
    char resolved[PATH_MAX];
    char folder[PATH_MAX];

    snprintf(folder, sizeof folder, "%.*s/", (int)(slash - path), path);
    if (realpath(folder, resolved) && add_component(resolved, slash + 1))
        memcpy(path, resolved, PATH_MAX);
}

/* The text at this address as the process means it; the folder is dirfd's. */
static bool name_of_path(pid_t pid, int dirfd, uint64_t address, char name[PATH_MAX])
{
    char text[PATH_MAX];
    char from[64];

    if (!read_text(pid, address, text) || !*text)
        return false;
    if (*text == '/') {
        memcpy(name, text, PATH_MAX);
    } else {
        if (dirfd == AT_FDCWD)
            snprintf(from, sizeof from, "/proc/%d/cwd", (int)pid);
        else
            snprintf(from, sizeof from, "/proc/%d/fd/%d", (int)pid, dirfd);
        if (!read_link(name, from) || name[0] != '/' || !add_component(name, text))
            return false;
    }
    follow_links(name);
    return true;
}

/* --- files --- */

/* The second copy was told that this file is there already. */
static void note_exists(const struct tracer_call *call, int dirfd, uint64_t path)
{
    char name[PATH_MAX];
    struct thing *thing = NULL;

    if (call->copy == SECOND && name_of_path(call->pid, dirfd, path, name))
        thing = find(name);
    if (thing)
        thing->exists = true;
}

static void note_open(const struct tracer_call *call, int dirfd, uint64_t path, uint64_t flags)
{
    bool writes = (flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC));
    char name[PATH_MAX];
    struct thing *thing;

    if (!writes || (flags & O_PATH) || (flags & O_TMPFILE) == O_TMPFILE)
        return;
    if (call->result == -EEXIST)
        note_exists(call, dirfd, path);
    if (call->result < 0 || !name_of_fd(call->pid, (uint64_t)call->result, name) ||
        !(thing = find_or_add(name)))
        return;
    thing->writes[call->copy] = true;
    thing->appends[call->copy] &= (flags & O_APPEND) != 0;
}

static void note_openat2(const struct tracer_call *call)
{
    uint64_t flags;

    if (read_memory(call->pid, call->arguments[2], &flags, sizeof flags))
        note_open(call, (int)call->arguments[0], call->arguments[1], flags);
}

static void note_lock(const struct tracer_call *call, bool is_for_writing)
{
    char name[PATH_MAX];
    struct thing *thing;

    if (!name_of_fd(call->pid, call->arguments[0], name) || !(thing = find_or_add(name)))
        return;
    if (!call->is_done) {
        thing->waits = call->copy == SECOND ? call->pid : thing->waits;
        return;
    }
    if (call->result <= -INTERRUPTED) /* a signal comes, which may be the end of the copy */
        return;
    thing->waits = thing->waits == call->pid ? 0 : thing->waits;
    if (call->result == 0)
        thing->locks[call->copy] |= is_for_writing;
    else if (call->copy == SECOND && (call->result == -EAGAIN || call->result == -EACCES))
        thing->is_locked = true;
}

/* fcntl(2): F_WRLCK, F_RDLCK; -1: it sets no lock. */
static int type_of_lock(const struct tracer_call *call)
{
    int command = (int)call->arguments[1];
    short type;

    if ((command == F_SETLK || command == F_SETLKW || command == F_OFD_SETLK ||
         command == F_OFD_SETLKW) &&
        read_memory(call->pid, call->arguments[2], &type, sizeof type))
        return type;
    return -1;
}

/* rename(2), link(2) */
static void note_replace(const struct tracer_call *call, int from_dirfd, uint64_t from, int dirfd,
                         uint64_t path)
{
    char name[PATH_MAX];
    struct thing *thing;

    if (call->result == -EEXIST)
        note_exists(call, dirfd, path);
    if (call->result != 0)
        return;
    if (name_of_path(call->pid, from_dirfd, from, name) && (thing = find(name)) != NULL)
        thing->is_moved = true;
    if (!name_of_path(call->pid, dirfd, path, name) || !(thing = find_or_add(name)))
        return;
    thing->writes[call->copy] = thing->replaces[call->copy] = true;
    thing->appends[call->copy] = false;
}

/* --- addresses --- */

static int type_of_socket(pid_t pid, int fd)
{
    int type = 0;
    socklen_t len = sizeof type;
    int pid_fd = pidfd_open(pid, 0);
    int copy_fd = pid_fd >= 0 ? pidfd_getfd(pid_fd, fd, 0) : -1;

    if (copy_fd >= 0 && getsockopt(copy_fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0)
        type = 0;
    if (copy_fd >= 0)
        close(copy_fd);
    if (pid_fd >= 0)
        close(pid_fd);
    return type;
}

static bool format_ip(const struct sockaddr_storage *address, int type, char name[PATH_MAX])
{
    const struct sockaddr_in *in = (const struct sockaddr_in *)address;
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)address;
    bool is_ipv6 = address->ss_family == AF_INET6;
    char host[INET6_ADDRSTRLEN];

    inet_ntop(address->ss_family, is_ipv6 ? (const void *)&in6->sin6_addr : &in->sin_addr, host,
              sizeof host);
    snprintf(name, PATH_MAX, is_ipv6 ? "%s [%s]:%u" : "%s %s:%u",
             type == SOCK_DGRAM ? "UDP" : "TCP", host, ntohs(in->sin_port));
    return in->sin_port != 0;
}

/* False: nobody else wants it, as port 0. */
static bool name_of_address(const struct tracer_call *call, int type, char name[PATH_MAX])
{
    struct sockaddr_storage address = {0};
    const struct sockaddr_un *un = (const struct sockaddr_un *)&address;
    uint64_t len = call->arguments[2];

    if (len > sizeof address || !read_memory(call->pid, call->arguments[1], &address, (size_t)len))
        return false;
    if (address.ss_family == AF_INET || address.ss_family == AF_INET6)
        return format_ip(&address, type, name);
    if (address.ss_family != AF_UNIX || len <= sizeof(sa_family_t))
        return false;
    if (!un->sun_path[0]) {
        snprintf(name, PATH_MAX, "socket @%.*s", (int)(len - sizeof(sa_family_t) - 1),
                 un->sun_path + 1);
        return true;
    }
    return name_of_path(call->pid, AT_FDCWD,
                        call->arguments[1] + offsetof(struct sockaddr_un, sun_path), name);
}

static void note_bind(const struct tracer_call *call)
{
    int type = type_of_socket(call->pid, (int)call->arguments[0]);
    char name[PATH_MAX];
    struct thing *thing;

    if (!name_of_address(call, type, name) || !(thing = find_or_add(name)))
        return;
    thing->type = type;
    if (call->result == 0)
        thing->binds[call->copy] = true;
    else if (call->copy == SECOND && call->result == -EADDRINUSE && thing->binds[FIRST])
        thing->is_in_use = true;
}

/* --- which call --- */

static void note_done(const struct tracer_call *call)
{
    const uint64_t *arguments = call->arguments;

    switch (call->number) {
    case SYS_openat: note_open(call, (int)arguments[0], arguments[1], arguments[2]); break;
    case SYS_openat2: note_openat2(call); break;
    case SYS_bind: note_bind(call); break;
    case SYS_linkat:
    case SYS_renameat2:
#ifdef SYS_renameat
    case SYS_renameat:
#endif
        note_replace(call, (int)arguments[0], arguments[1], (int)arguments[2], arguments[3]);
        break;
#ifdef SYS_open /* newer machines have the forms with a folder alone */
    case SYS_open: note_open(call, AT_FDCWD, arguments[0], arguments[1]); break;
    case SYS_creat: note_open(call, AT_FDCWD, arguments[0], O_CREAT | O_WRONLY | O_TRUNC); break;
    case SYS_link:
    case SYS_rename: note_replace(call, AT_FDCWD, arguments[0], AT_FDCWD, arguments[1]); break;
#endif
    default: break;
    }
}

void evidence_begin(const char *folder)
{
    own_folder = folder;
}

void evidence_note(const struct tracer_call *call)
{
    int type;

    if (call->number == SYS_flock) {
        if (!(call->arguments[1] & LOCK_UN))
            note_lock(call, call->arguments[1] & LOCK_EX);
    } else if (call->number == SYS_fcntl) {
        if ((type = type_of_lock(call)) == F_WRLCK || type == F_RDLCK)
            note_lock(call, type == F_WRLCK);
    } else if (call->is_done) {
        note_done(call);
    }
}

/* --- what it comes to --- */

static void look_into(struct thing *thing)
{
    char text[64] = "";
    struct stat info;
    int fd;

    if (thing->name[0] != '/' || stat(thing->name, &info) < 0 || !S_ISREG(info.st_mode) ||
        (fd = open(thing->name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)) < 0)
        return;
    ssize_t len = read(fd, text, sizeof text - 1);
    close(fd);
    text[len > 0 ? len : 0] = '\0';
    thing->is_database |= strcmp(text, SQLITE) == 0;
    char *end;
    long number = strtol(text, &end, 10);
    thing->has_pid |= end != text && strspn(end, " \r\n") == strlen(end) && number > 1 &&
                      number <= INT_MAX && tracer_copy_of((pid_t)number) >= 0;
}

void evidence_look(void)
{
    for (unsigned i = 0; i < thing_count; i++)
        look_into(&things[i]);
}

const struct thing *evidence_at(unsigned index)
{
    return index < thing_count ? &things[index] : NULL;
}

const struct thing *evidence_find(const char *name)
{
    return find(name);
}
