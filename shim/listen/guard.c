/* guard.c - a small set of device and inode numbers; those the broker had when it started us are in
 * the environment. */
#include "shim/listen/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/stat.h>

#include "shim/base/env.h"
#include "shim/base/link.h"
#include "shim/base/next.h"
#include "shim/record/vlisten.h"

/* Without an answer the file goes, as natively: the broker puts it back, if it is shared. */
#define ANSWER_MS 1000

static struct env_file added[ENV_FILES_MAX];
static _Atomic unsigned added_count;

static bool is_known(const struct stat *info)
{
    unsigned count = atomic_load(&added_count);

    for (unsigned i = 0; i < env.file_count; i++)
        if (env.files[i].dev == info->st_dev && env.files[i].ino == info->st_ino)
            return true;
    for (unsigned i = 0; i < count && i < ENV_FILES_MAX; i++)
        if (added[i].dev == info->st_dev && added[i].ino == info->st_ino)
            return true;
    return false;
}

void guard_add(const char *path)
{
    struct stat info;
    int saved = errno;

    if (lstat(path, &info) == 0 && S_ISSOCK(info.st_mode) && !is_known(&info)) {
        unsigned at = atomic_load(&added_count);
        if (at < ENV_FILES_MAX) {
            added[at] = (struct env_file){info.st_dev, info.st_ino};
            atomic_store(&added_count, at + 1);
        }
    }
    errno = saved;
}

/* Another copy may have bound it since this one was started. */
static bool broker_protects(int folder_fd, const char *path)
{
    struct wire_attach request = {.auth = env.auth, .flags = WIRE_ATTACH_FILE};
    struct link_grant grant = {.error = 0};
    int link_fd = link_open_within(ANSWER_MS);

    if (link_fd < 0)
        return false;
    int file_fd = openat(folder_fd, path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    wire_head_init(&request.head, WIRE_ATTACH);
    bool protects = file_fd >= 0 &&
                    link_ask(link_fd, &request, sizeof request, file_fd, &grant) == 0 &&
                    grant.verdict == WIRE_FAILED && grant.error == EBUSY;
    if (file_fd >= 0)
        NEXT(close)(file_fd);
    NEXT(close)(link_fd);
    return protects;
}

/* Servers remove what is there before they bind it, and again when they end. */
bool guard_protects(int folder_fd, const char *path)
{
    struct stat info;
    int saved = errno;
    bool begins = !atomic_load(&vlisten_has_accepted);

    if (!begins && env.file_count == 0 && atomic_load(&added_count) == 0)
        return false;
    bool is_socket =
        fstatat(folder_fd, path, &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISSOCK(info.st_mode);
    bool protects = is_socket && (is_known(&info) || (begins && broker_protects(folder_fd, path)));
    errno = saved;
    return protects;
}
