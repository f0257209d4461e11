/* path.c - see path.h. */
#include "broker/pool/path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/base/log.h"
#include "broker/base/loop.h"
#include "broker/pool/listener.h"

static void on_links_changed(struct loop_watch *watch, uint32_t events);

static struct loop_watch links_watch = {.fd = -1, .on_ready = on_links_changed};

static void on_links_changed(struct loop_watch *watch, uint32_t events)
{
    char mail[1024];
    const struct listener *listener;

    (void)events;
    while (read(watch->fd, mail, sizeof mail) > 0)
        ;
    TAILQ_FOREACH(listener, &listeners, all)
        path_restore(&listener->path);
}

/* Without inotify the file is put back when a worker ends or another one claims it. */
void path_watch(const struct path *path)
{
    char link[PATH_MAX];

    if (!path->hidden[0])
        return;
    if (links_watch.fd < 0) {
        links_watch.fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
        if (links_watch.fd < 0 || loop_add(&links_watch, EPOLLIN) < 0)
            return;
    }
    snprintf(link, sizeof link, "/proc/self/fd/%d/%s", path->folder_fd, path->hidden);
    inotify_add_watch(links_watch.fd, link, IN_ATTRIB | IN_DONT_FOLLOW);
}

bool path_guard(struct path *path, const char *name, bool keep)
{
    struct stat info;

    snprintf(path->name, sizeof path->name, "%s", name);
    if (fstatat(path->folder_fd, path->name, &info, AT_SYMLINK_NOFOLLOW) < 0)
        return errno != ENOENT;
    if (!S_ISSOCK(info.st_mode))
        return true;
    if (keep)
        snprintf(path->hidden, sizeof path->hidden, ".sshim-%x-%llx", (unsigned)getpid(),
                 (unsigned long long)info.st_ino);
    if (keep && linkat(path->folder_fd, path->name, path->folder_fd, path->hidden, 0) < 0 &&
        errno != EEXIST) {
        path->hidden[0] = '\0';
        if (errno == ENOENT)
            return false;
    }
    path->dev = info.st_dev;
    path->ino = info.st_ino;
    path_watch(path);
    return true;
}

bool path_is_there(const struct path *path)
{
    struct stat info;

    return fstatat(path->folder_fd, path->name, &info, AT_SYMLINK_NOFOLLOW) == 0 &&
           info.st_ino == path->ino && info.st_dev == path->dev;
}

void path_restore(const struct path *path)
{
    char temporary[sizeof path->hidden + sizeof ".new"];

    if (path->folder_fd < 0 || !path->hidden[0] || path_is_there(path))
        return;
    snprintf(temporary, sizeof temporary, "%s.new", path->hidden);
    if (linkat(path->folder_fd, path->hidden, path->folder_fd, temporary, 0) < 0 ||
        renameat(path->folder_fd, temporary, path->folder_fd, path->name) < 0)
        log_error("cannot put the socket %s back: %s; clients cannot reach it until the server "
                  "binds it again",
                  path->name, strerror(errno));
}

void path_finish(struct path *path, bool remove)
{
    if (path->folder_fd < 0)
        return;
    if (remove && path->ino && path_is_there(path))
        unlinkat(path->folder_fd, path->name, 0);
    if (path->hidden[0])
        unlinkat(path->folder_fd, path->hidden, 0);
    close(path->folder_fd);
    path->folder_fd = -1;
}
