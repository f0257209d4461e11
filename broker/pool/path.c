/* path.c - see path.h. */
#include "broker/pool/path.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "broker/base/log.h"
#include "broker/base/process/deputy.h"
#include "broker/pool/closer.h"

#define REMOVAL_MAX_S 5 /* and not for longer */

static struct removal {
    pid_t pid;        /* 0: none */
    struct path path; /* only to compare: its folder may be closed by now */
} removals[PATH_REMOVALS_MAX];

static bool is_plain_name(const char *name)
{
    return *name && !strchr(name, '/') && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

int path_open(struct path *path, int folder_fd, const char *name)
{
    struct statx info;
    size_t len = strlen(name);
    int flags = fcntl(folder_fd, F_GETFL);

    /* O_PATH: closing it has no effect on whatever it is of */
    if (flags < 0 || !(flags & O_PATH) || len >= sizeof path->name || !is_plain_name(name)) {
        errno = EINVAL;
        return -1;
    }
    /* what the kernel knows: the server of a network file system may be dead */
    if (statx(folder_fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE | STATX_INO, &info) < 0)
        return -1;
    if (!S_ISDIR(info.stx_mode)) {
        errno = ENOTDIR;
        return -1;
    }
    *path = (struct path){.folder_fd = folder_fd,
                          .folder_dev = makedev(info.stx_dev_major, info.stx_dev_minor),
                          .folder_ino = info.stx_ino};
    memcpy(path->name, name, len);
    return 0;
}

bool path_is_sound(const struct path *path)
{
    bool ends = memchr(path->name, '\0', sizeof path->name) != NULL;

    return path->folder_fd < 0 ||
           (ends && is_plain_name(path->name) && path->owner.group_count <= PATH_GROUPS_MAX);
}

bool path_equal(const struct path *a, const struct path *b)
{
    return a->folder_fd >= 0 && b->folder_fd >= 0 && a->folder_dev == b->folder_dev &&
           a->folder_ino == b->folder_ino && strcmp(a->name, b->name) == 0;
}

void path_note_bound(struct path *path, uint64_t ino, int link_fd)
{
    struct ucred peer;
    socklen_t len = sizeof peer;
    socklen_t groups_len = sizeof path->owner.groups;

    path->owner.group_count = 0;
    path->ino = 0;
    if (getsockopt(link_fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
        return;
    path->ino = ino;
    path->owner.uid = peer.uid;
    path->owner.gid = peer.gid;
    if (getsockopt(link_fd, SOL_SOCKET, SO_PEERGROUPS, path->owner.groups, &groups_len) == 0)
        path->owner.group_count = groups_len / sizeof(gid_t);
}

void path_close(struct path *path)
{
    if (path->folder_fd >= 0)
        closer_close(path->folder_fd);
    path->folder_fd = -1;
}

/* --- the process that removes a file --- */

/* All capabilities: they outlive setresuid(2) where the broker is no root and has some. */
static bool drop_capabilities(void)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}};

    return syscall(SYS_capset, &head, none) == 0;
}

/* A broker that may not become root has less than root's rights: it keeps its own. */
static bool become(const struct path_owner *owner)
{
    if (owner->uid != geteuid() &&
        (setgroups(owner->group_count, owner->groups) < 0 ||
         setresgid(owner->gid, owner->gid, owner->gid) < 0 ||
         setresuid(owner->uid, owner->uid, owner->uid) < 0) &&
        owner->uid != 0)
        return false;
    return owner->uid == 0 || drop_capabilities();
}

/* With few descriptors: the others would keep the broker's sockets open for as long as this hangs.
 */
static _Noreturn void run_removal(const struct path *path, int canonical_fd)
{
    enum { CANONICAL, FOLDER };
    struct stat info;
    sigset_t none;

    /* a broker that was started without standard input and output has others in their place */
    int folder_fd = fcntl(path->folder_fd, F_DUPFD, STDERR_FILENO + 1);
    if (dup2(canonical_fd, CANONICAL) < 0 || dup2(folder_fd, FOLDER) < 0)
        _exit(1);
    close_range(STDERR_FILENO + 1, ~0u, 0);
    sigemptyset(&none);
    signal(SIGALRM, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    alarm(REMOVAL_MAX_S);
    bool is_done = become(&path->owner);
    bool is_ours = is_done && fstatat(FOLDER, path->name, &info, AT_SYMLINK_NOFOLLOW) == 0 &&
                   S_ISSOCK(info.st_mode) && info.st_ino == path->ino;
    if (is_ours)
        is_done = unlinkat(FOLDER, path->name, 0) == 0;
    if (!is_done)
        log_error("cannot remove the socket file %s: %s; remove it by hand", path->name,
                  strerror(errno));
    _exit(0);
}

struct order {
    struct path path;
    int canonical_fd;
};
static_assert(sizeof(struct order) <= DEPUTY_ORDER_MAX, "an order must fit");

static void run_order(const void *bytes)
{
    const struct order *order = bytes;

    run_removal(&order->path, order->canonical_fd);
}

void path_init(void)
{
    deputy_set(DEPUTY_REMOVAL, run_order);
}

static struct removal *find_removal(pid_t pid)
{
    for (int i = 0; i < PATH_REMOVALS_MAX; i++)
        if (removals[i].pid == pid)
            return &removals[i];
    return NULL;
}

bool path_is_being_removed(const struct path *path)
{
    for (int i = 0; i < PATH_REMOVALS_MAX; i++)
        if (removals[i].pid && path_equal(&removals[i].path, path))
            return true;
    return false;
}

void path_remove(const struct path *path, int canonical_fd)
{
    if (path->folder_fd < 0 || path->ino == 0 || canonical_fd < 0)
        return;
    struct removal *place = find_removal(0);
    struct order order = {*path, canonical_fd};
    pid_t pid = place ? deputy_fork(DEPUTY_REMOVAL, &order, sizeof order) : -1;
    if (pid > 0)
        *place = (struct removal){pid, *path};
    else
        log_error("cannot remove the socket file %s: no process is to be had for it; remove it by "
                  "hand",
                  path->name);
}

bool path_is_removal(pid_t pid)
{
    return find_removal(pid) != NULL;
}

bool path_on_child_end(const siginfo_t *info)
{
    struct removal *place = find_removal(info->si_pid);

    if (place && info->si_code != CLD_EXITED)
        log_error("cannot remove a socket file: its file system does not answer within %d s; "
                  "remove it by hand",
                  REMOVAL_MAX_S);
    if (place)
        place->pid = 0;
    return place != NULL;
}

/* How many still run. */
static unsigned reap_removals(void)
{
    unsigned running = 0;

    for (int i = 0; i < PATH_REMOVALS_MAX; i++) {
        siginfo_t info = {.si_code = CLD_EXITED};
        if (!removals[i].pid)
            continue;
        int result = waitid(P_PID, (id_t)removals[i].pid, &info, WEXITED | WNOHANG);
        if (result == 0 && info.si_pid == 0) {
            running++;
        } else {
            info.si_pid = removals[i].pid;
            path_on_child_end(&info);
        }
    }
    return running;
}

void path_await_removals(unsigned at_most, int timeout_ms)
{
    const struct timespec moment = {.tv_nsec = 1000000};

    while (reap_removals() > at_most && timeout_ms-- > 0)
        nanosleep(&moment, NULL);
}
