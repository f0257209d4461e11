/* recognise.c - see recognise.h. */
#include "shim/listen/recognise.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/un.h>

#include "proto/channel_name.h"
#include "shim/base/fdmap.h"
#include "shim/base/next.h"
#include "shim/listen/prefork.h"

#define LOW_FDS 64 /* where a program hands down what it listens on */

static struct vlisten *find_channel(uint64_t channel)
{
    for (unsigned i = 0; i < VLISTEN_MAX; i++)
        if (atomic_load(&vlisten_table[i].refs) > 0 && vlisten_table[i].channel == channel)
            return &vlisten_table[i];
    return NULL;
}

static struct vlisten *attach(int fd, uint64_t channel)
{
    struct link_grant grant;

    if (link_attach(channel, vlisten_attach_flag(), fd, &grant) < 0)
        return NULL;
    struct vlisten *listener = grant.verdict == WIRE_SHARED ? vlisten_create(&grant) : NULL;
    if (listener) {
        vlisten_set_nonblock(listener, NEXT(fcntl)(fd, F_GETFL) & O_NONBLOCK);
        atomic_store(&listener->fd, fd);
        fdmap_set(fd, FDMAP_LISTENER, vlisten_index(listener));
        atomic_store(&vlisten_has_recognised, true);
    } else if (grant.verdict == WIRE_SHARED) {
        link_grant_refuse(&grant, fd);
    }
    link_grant_finish(&grant);
    return listener;
}

static bool get_channel(int fd, uint64_t *channel)
{
    struct sockaddr_un name;
    socklen_t len = sizeof name;

    return NEXT(getpeername)(fd, (struct sockaddr *)&name, &len) == 0 &&
           channel_name_parse(&name, len, channel);
}

bool recognise_is_channel(int fd)
{
    uint64_t channel;
    int saved = errno;
    bool is = get_channel(fd, &channel);

    errno = saved;
    return is;
}

static struct vlisten *ask_kernel(int fd)
{
    uint64_t channel;

    if (!get_channel(fd, &channel)) {
        struct vlisten *shared = errno == ENOTCONN ? prefork_recognise(fd) : NULL;
        if (!shared)
            fdmap_set(fd, FDMAP_FOREIGN, 0);
        return shared;
    }
    struct vlisten *known = find_channel(channel);
    if (!known)
        return attach(fd, channel);
    vlisten_add_ref(known, fd);
    return known;
}

struct vlisten *recognise_again(int fd)
{
    int saved = errno;
    struct vlisten *listener = fdmap_get(fd).kind == FDMAP_HIDDEN ? NULL : ask_kernel(fd);

    errno = saved;
    return listener;
}

struct vlisten *recognise_fd(int fd)
{
    struct fdmap_entry entry = fdmap_get(fd);

    if (entry.kind == FDMAP_LISTENER)
        return &vlisten_table[entry.index];
    if ((entry.kind != FDMAP_UNKNOWN && entry.kind != FDMAP_INHERITED) || fd < 0)
        return NULL;
    return recognise_again(fd);
}

void recognise_find_inherited(void)
{
    for (int fd = 0; fd < LOW_FDS; fd++) {
        if (!recognise_is_channel(fd))
            continue;
        fdmap_set(fd, FDMAP_INHERITED, 0);
        atomic_store(&vlisten_any, true);
    }
}
