/* prefork.c - see prefork.h. */
#include "shim/accept/prefork.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/time.h>
#ifdef __GLIBC__
#include <sys/single_threaded.h>
#endif

#include "shim/base/env.h"
#include "shim/base/fdmap.h"
#include "shim/base/next.h"
#include "shim/base/retarget.h"
#include "shim/listen/shareable.h"
#include "shim/take/fall_back.h"

static int status_flags(int fd)
{
    int flags = NEXT(fcntl)(fd, F_GETFL);
    return flags < 0 ? 0 : flags;
}

/* The hidden canonical socket goes: whether this program still listens is told by whether some fd
 * of it is that socket. Nobody accepts yet. */
void prefork_begin(struct vlisten *listener, int fd)
{
    int saved = errno;
    int shadow_fd = atomic_load(&listener->shadow_fd);
    int wanted = status_flags(fd) & (O_NONBLOCK | O_ASYNC);

    vlisten_set_nonblock(listener, wanted & O_NONBLOCK);
    if (wanted & O_ASYNC)
        claim_copy_async(fd, shadow_fd); /* of the copies that ask for it the last one hears */
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
    if (!(atomic_load(&listener->board->worker.flags) & BOARD_LISTENING))
        claim_tell_listening(listener, SOMAXCONN);
    return listener;
}

static struct vlisten *ask_for_record(int fd)
{
    struct wire_attach request = {.auth = env.auth, .flags = WIRE_ATTACH_SOCKET};
    struct link_grant grant;
    struct vlisten *listener = NULL;
    int link_fd = link_open();

    if (link_fd < 0)
        return NULL;
    wire_head_init(&request.head, WIRE_ATTACH);
    if (link_ask(link_fd, &request, sizeof request, fd, &grant) == 0 &&
        grant.verdict == WIRE_SHARED && grant.channel_fd >= 0)
        listener = make_record(fd, &grant);
    NEXT(close)(link_fd);
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
    if (shareable_option(fd, SO_ACCEPTCONN) != 1 || shareable_option(fd, SO_TYPE) != SOCK_STREAM)
        return NULL;
    struct vlisten *known = find_same(fd);
    if (!known)
        return ask_for_record(fd);
    vlisten_add_ref(known, fd);
    return known;
}

/*
 * Blocking in accept4 itself is best: one thread is woken for a connection, and a signal restarts
 * it. But only an accept that was played can be ended by shutdown() in another thread, and only a
 * non-blocking socket gives EAGAIN.
 */
static bool must_play(struct vlisten *listener)
{
#ifdef __GLIBC__
    return !__libc_single_threaded || vlisten_is_nonblock(listener);
#else
    (void)listener;
    return true;
#endif
}

static void play(struct vlisten *listener, int fd)
{
    if (atomic_exchange(&listener->played, true))
        return;
    NEXT(fcntl)(fd, F_SETFL, status_flags(fd) | O_NONBLOCK);
}

/* False: errno is what accept gives. */
static bool wait_for_connection(struct vlisten *listener, int fd, bool is_over)
{
    struct pollfd fds[] = {
        {.fd = is_over ? -1 : fd, .events = POLLIN},
        {.fd = atomic_load(&listener->channel_fd)}, /* hangs up at shutdown() */
    };

    for (;;) {
        int ready = NEXT(poll)(fds, 2, vlisten_accept_timeout_ms(fd));
        if (ready == 0)
            errno = EAGAIN;
        if (ready <= 0)
            return false;
        if (!fds[1].revents || vlisten_is_shut_down(listener))
            return true;
        fds[1].fd = -1; /* the broker has died */
    }
}

int prefork_accept(struct vlisten *listener, int fd, struct sockaddr *addr, socklen_t *len,
                   int flags, bool at_once)
{
    for (;;) {
        if (board_has_flag(listener->board, BOARD_DRAINING) && fall_back_to_silence(listener, fd))
            return PREFORK_OVER;
        if (!atomic_load(&listener->direct))
            return PREFORK_OVER;
        int real_fd = vlisten_real_fd(listener, fd); /* fd itself may be the channel at any time */
        if (at_once || must_play(listener))
            play(listener, real_fd);
        int conn_fd = vlisten_take_directly(listener, fd, addr, len, flags);
        bool is_over = conn_fd < 0 && errno == EINVAL;
        if (conn_fd >= 0 || (errno != EAGAIN && !is_over))
            return conn_fd;
        if (is_over && vlisten_is_shut_down(listener))
            return -1;
        errno = at_once ? ECONNABORTED : EAGAIN;
        if (at_once || vlisten_is_nonblock(listener) ||
            (!is_over && !(status_flags(real_fd) & O_NONBLOCK)))
            return -1; /* or SO_RCVTIMEO has passed */
        if (!wait_for_connection(listener, real_fd, is_over))
            return -1;
        if (!vlisten_has_fd(listener, fd)) {
            errno = EBADF;
            return -1;
        }
    }
}

bool prefork_end(struct vlisten *listener, int fd)
{
    int fds[RETARGET_MAX];
    int channel_fd = atomic_load(&listener->channel_fd);

    if (channel_fd < 0)
        return false;
    atomic_store(&listener->shadow_fd, vlisten_hide_fd(fd, vlisten_index(listener)));
    NEXT(fcntl)
    (channel_fd, F_SETFL, vlisten_is_nonblock(listener) ? O_NONBLOCK : 0);
    if (atomic_load(&listener->shadow_fd) < 0 || retarget(fd, channel_fd, fds) < 0) {
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
