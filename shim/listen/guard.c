/* guard.c - a small set of device and inode numbers, and the question whether a file is shared. */
#include "shim/listen/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "shim/base/broker_rpc.h"
#include "shim/base/env.h"
#include "shim/base/next.h"
#include "shim/record/vlisten.h"

/* Without an answer the file is removed, as natively. A broker may stand still for 5 s before its
 * keeper kills it. */
#define ANSWER_MS 6000
#define FILES_MAX 16

/* An inode's number may need 64 bits on 32-bit machines as well. */
#if defined __GLIBC__ && __SIZEOF_LONG__ == 4
#define stat stat64
#define fstatat fstatat64
#endif

static struct {
    dev_t dev;
    ino_t ino;
} added[FILES_MAX];
static _Atomic unsigned added_count;

static bool is_known(const struct stat *info)
{
    unsigned count = atomic_load(&added_count);

    for (unsigned i = 0; i < count && i < FILES_MAX; i++)
        if (added[i].dev == info->st_dev && added[i].ino == info->st_ino)
            return true;
    return false;
}

static bool stat_socket(int folder_fd, const char *path, struct stat *info)
{
    return fstatat(folder_fd, path, info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISSOCK(info->st_mode);
}

uint64_t guard_inode(int folder_fd, const char *path)
{
    struct stat info;

    return stat_socket(folder_fd, path, &info) ? info.st_ino : 0;
}

void guard_add(const char *path)
{
    struct stat info;
    int saved = errno;

    if (stat_socket(AT_FDCWD, path, &info) && !is_known(&info)) {
        unsigned at = atomic_load(&added_count);
        if (at < FILES_MAX) {
            added[at].dev = info.st_dev;
            added[at].ino = info.st_ino;
            atomic_store(&added_count, at + 1);
        }
    }
    errno = saved;
}

/* The folder that the first len_bytes of the path name, up to its last slash: so much at a time as
 * there is room for, since the program's stack may be small. */
static int open_folder(int folder_fd, const char *path, size_t len_bytes)
{
    char part[NAME_MAX + 3]; /* a name, its slash, a dot */
    int fd = -1;

    do {
        size_t taken = len_bytes < NAME_MAX + 1 ? len_bytes : NAME_MAX + 1;
        while (taken > 0 && path[taken - 1] != '/')
            taken--;
        memcpy(part, path, taken);
        memcpy(part + taken, ".", 2);
        bool is_too_long = taken == 0 && len_bytes > 0;
        int next_fd = is_too_long
                          ? -1
                          : openat(fd < 0 ? folder_fd : fd, part, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd >= 0)
            NEXT(close)(fd);
        fd = next_fd;
        for (path += taken, len_bytes -= taken; len_bytes > 0 && *path == '/'; len_bytes--)
            path++;
    } while (fd >= 0 && len_bytes > 0);
    return fd;
}

int guard_claim(struct wire_claim *claim, int folder_fd, const char *path, uint32_t flags)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    size_t folder_len = (size_t)(name - path);
    size_t name_len = strlen(name);

    if (!*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
        name_len > sizeof addr.sun_path)
        return -1;
    memcpy(addr.sun_path, name, name_len);
    memset(claim, 0, sizeof *claim);
    claim->head = WIRE_HEAD(WIRE_CLAIM);
    claim->auth = env.auth;
    claim->flags = flags;
    claim->address.len_bytes = (uint32_t)(offsetof(struct sockaddr_un, sun_path) + name_len);
    memcpy(claim->address.bytes, &addr, claim->address.len_bytes);
    return open_folder(folder_fd, path, folder_len);
}

static bool ask_to_remove(int link_fd, int folder_fd, const char *path, struct link_grant *grant)
{
    struct wire_claim claim;
    int parent_fd = guard_claim(&claim, folder_fd, path, WIRE_CLAIM_REMOVE);

    if (parent_fd < 0)
        return false;
    bool answered = link_ask(link_fd, &claim, sizeof claim, parent_fd, grant) == 0;
    NEXT(close)(parent_fd);
    if (answered)
        link_grant_finish(grant);
    return answered;
}

/* The broker keeps others from binding it until the link is closed. If it is not there any more,
 * another copy has removed it since we were called. */
static int unlink_in_turn(int folder_fd, const char *path)
{
    return NEXT(unlinkat)(folder_fd, path, 0) == 0 || errno == ENOENT ? 0 : -1;
}

/* Another copy may have bound it since this one was started, or be about to. *result is 0 unless it
 * was tried and failed. */
static bool ask_and_unlink(int folder_fd, const char *path, int *result)
{
    struct link_grant grant;
    int saved = errno;
    int link_fd = link_open_within(ANSWER_MS);

    *result = 0;
    bool asked = link_fd >= 0 && ask_to_remove(link_fd, folder_fd, path, &grant);
    bool may = asked && grant.verdict == WIRE_VACANT;
    bool stays = asked && grant.verdict == WIRE_FAILED && grant.error == EBUSY && grant.channel &&
                 grant.channel == guard_inode(folder_fd, path);
    if (may)
        *result = unlink_in_turn(folder_fd, path);
    if (*result == 0)
        errno = saved;
    saved = errno;
    if (link_fd >= 0)
        NEXT(close)(link_fd);
    errno = saved;
    return may || stays;
}

bool guard_unlink(int folder_fd, const char *path, int *result)
{
    struct stat info;
    int saved = errno;
    bool asks = !vlisten_has_accepted(VLISTEN_ACCEPTED) || atomic_load(&vlisten_has_recognised);

    if (!asks && atomic_load(&added_count) == 0)
        return false;
    errno = 0;
    bool is_socket = stat_socket(folder_fd, path, &info);
    if (asks && errno == ENOENT) { /* another copy may have bound it by now */
        *result = -1;
        return true;
    }
    errno = saved;
    bool known = is_socket && is_known(&info);
    if (!known && !(is_socket && asks))
        return false;
    return ask_and_unlink(folder_fd, path, result) || known;
}
