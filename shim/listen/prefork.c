/* prefork.c - see prefork.h. */
#include "shim/listen/prefork.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "shim/base/fdmap.h"
#include "shim/base/next.h"
#include "shim/listen/dress.h"
#include "shim/listen/shareable.h"
#include "shim/take/epoll_set.h"
#include "shim/take/fall_back.h"

static int status_flags(int fd)
{
    int flags = NEXT(fcntl)(fd, F_GETFL);
    return flags < 0 ? 0 : flags;
}

/* The hidden canonical socket is closed: this program listens as long as one of its fds is that
 * socket. No thread accepts yet. */
void prefork_begin(struct vlisten *listener, int fd)
{
    int saved = errno;
    int shadow_fd = atomic_load(&listener->shadow_fd);
    int wanted = status_flags(fd) & (O_NONBLOCK | O_ASYNC);

    vlisten_set_nonblock(listener, wanted & O_NONBLOCK);
    if (wanted & O_ASYNC)
        dress_copy_async(fd, shadow_fd); /* only the last copy that asks for SIGIO gets it */
    if (wanted)
        NEXT(fcntl)(shadow_fd, F_SETFL, status_flags(shadow_fd) | wanted);
    atomic_store(&listener->channel_fd, vlisten_hide_fd(fd, vlisten_index(listener)));
    if (fall_back_show_canonical(listener, fd))
        vlisten_close_hidden(&listener->shadow_fd);
    else
        vlisten_close_hidden(&listener->channel_fd);
    errno = saved;
}

/* --handoff direct: the socket stays where it is, the channel is hidden. */
static void keep_canonical(struct vlisten *listener, int fd, const struct link_grant *grant)
{
    atomic_store(&listener->direct, true);
    vlisten_close_hidden(&listener->shadow_fd);
    atomic_store(&listener->channel_fd,
                 vlisten_hide_fd(grant->channel_fd, vlisten_index(listener)));
    atomic_store(&listener->fd, fd);
    fdmap_set(fd, FDMAP_LISTENER, vlisten_index(listener));
}

static struct vlisten *make_record(int fd, struct link_grant *grant)
{
    struct vlisten *listener = vlisten_create(grant);

    if (!listener) {
        link_grant_refuse(grant, grant->channel_fd);
        return NULL;
    }
    keep_canonical(listener, fd, grant);
    if (!vlisten_listens(listener))
        vlisten_tell_listening(listener, SOMAXCONN);
    return listener;
}

static struct vlisten *ask_for_record(int fd)
{
    struct link_grant grant;
    struct vlisten *listener = NULL;

    if (link_attach(0, WIRE_ATTACH_SOCKET | vlisten_attach_flag(), fd, &grant) < 0)
        return NULL;
    if (grant.verdict == WIRE_SHARED && grant.channel_fd >= 0)
        listener = make_record(fd, &grant);
    link_grant_finish(&grant);
    return listener;
}

static bool is_same_file(const struct stat *file, int fd)
{
    struct stat info;

    return fstat(fd, &info) == 0 && info.st_dev == file->st_dev && info.st_ino == file->st_ino;
}

/* The record that another number of the same socket has: it may be inherited as 0, 1 and 2. */
static struct vlisten *find_same(int fd)
{
    struct stat file;

    if (fstat(fd, &file) < 0)
        return NULL;
    for (unsigned i = 0; i < VLISTEN_MAX; i++) {
        struct vlisten *listener = &vlisten_table[i];
        int known_fd = atomic_load(&listener->fd);
        if (atomic_load(&listener->refs) > 0 && atomic_load(&listener->direct) &&
            vlisten_has_fd(listener, known_fd) && is_same_file(&file, known_fd))
            return listener;
    }
    return NULL;
}

struct vlisten *prefork_recognise(int fd)
{
    if (shareable_option(fd, SO_ACCEPTCONN) != 1 ||
        !shareable_is_connected_type(fd, (sa_family_t)shareable_option(fd, SO_DOMAIN)))
        return NULL;
    struct vlisten *known = find_same(fd);
    if (!known)
        return ask_for_record(fd);
    vlisten_add_ref(known, fd);
    return known;
}

bool prefork_end(struct vlisten *listener, int fd)
{
    int channel_fd = atomic_load(&listener->channel_fd);

    if (channel_fd < 0)
        return false;
    atomic_store(&listener->shadow_fd, vlisten_hide_fd(fd, vlisten_index(listener)));
    NEXT(fcntl)
    (channel_fd, F_SETFL, vlisten_is_nonblock(listener) ? O_NONBLOCK : 0);
    if (atomic_load(&listener->shadow_fd) < 0 ||
        epoll_set_retarget(fd, channel_fd, FDMAP_UNKNOWN, 0) < 0) {
        vlisten_close_hidden(&listener->shadow_fd);
        return false;
    }
    atomic_store(&listener->direct, false);
    vlisten_close_hidden(&listener->channel_fd);
    return true;
}

int prefork_set_flags(struct vlisten *listener, int fd, unsigned long flags)
{
    unsigned long kept = (unsigned long)status_flags(fd) & O_NONBLOCK;
    int result = NEXT(fcntl)(fd, F_SETFL, flags | kept);

    if (result == 0 && vlisten_is_owner())
        vlisten_set_nonblock(listener, flags & O_NONBLOCK);
    return result;
}
