/* broker_socket.c - see broker_socket.h. */
#include "broker/cli/broker_socket.h"

#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "broker/base/loop/fds.h"
#include "proto/wire.h"

static void set_deadline(int fd)
{
    struct timeval deadline = {.tv_sec = BROKER_SOCKET_DEADLINE_S};

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof deadline);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &deadline, sizeof deadline);
}

static bool owns_folder(uid_t uid, const char *control_path)
{
    struct stat info;
    char folder[PATH_MAX];

    snprintf(folder, sizeof folder, "%.*s/", (int)(strrchr(control_path, '/') - control_path),
             control_path);
    return stat(folder, &info) == 0 && info.st_uid == uid;
}

/* A user who may write to the folder could have put a socket there. Root, the operator of all
 * users' brokers, trusts the owner of the folder; in a folder like /tmp only itself. */
static bool is_believed(int fd, const char *control_path)
{
    struct ucred peer;
    socklen_t len = sizeof peer;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
        return false;
    return peer.uid == 0 || peer.uid == geteuid() ||
           (geteuid() == 0 && owns_folder(peer.uid, control_path));
}

static int connect_to(const struct sockaddr_un *addr, socklen_t len, const char *control_path)
{
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    set_deadline(fd);
    if (connect(fd, (const struct sockaddr *)addr, len) == 0) {
        if (is_believed(fd, control_path))
            return fd;
        errno = EPERM;
    }
    fds_close(fd);
    return -1;
}

static int connect_to_file(const char *control_path)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};

    snprintf(addr.sun_path, sizeof addr.sun_path, "%s" WIRE_LINK_SUFFIX, control_path);
    int fd = connect_to(&addr, sizeof addr, control_path);
    if (fd >= 0 || errno != ENOENT)
        return fd;
    /* A broker of an older version takes messages at the path itself. */
    snprintf(addr.sun_path, sizeof addr.sun_path, "%s", control_path);
    return connect_to(&addr, sizeof addr, control_path);
}

static int connect_to_abstract(const char *name, const char *control_path)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    size_t len = strnlen(name, sizeof addr.sun_path - 1);

    memcpy(addr.sun_path + 1, name, len);
    return connect_to(&addr, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + len),
                      control_path);
}

bool broker_socket_each_abstract(const char *control_path, broker_socket_visitor *visit,
                                 void *context)
{
    char line[512];
    bool found = false;
    FILE *file = fopen("/proc/net/unix", "re");

    while (file && !found && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = '\0';
        const char *name = strstr(line, " @" BROKER_SOCKET_PREFIX);
        const char *path = name ? strchr(name + strlen(" @" BROKER_SOCKET_PREFIX), ':') : NULL;
        bool is_meant = path && (!control_path || strcmp(path + 1, control_path) == 0);
        int fd = is_meant ? connect_to_abstract(name + strlen(" @"), path + 1) : -1;
        found = fd >= 0 && visit(fd, path + 1, context);
        if (fd >= 0 && !found)
            close(fd);
    }
    if (file)
        fclose(file);
    return found;
}

static bool keep(int fd, const char *control_path, void *context)
{
    (void)control_path;
    *(int *)context = fd;
    return true;
}

int broker_socket_connect_abstract(const char *control_path)
{
    int fd = -1;

    broker_socket_each_abstract(control_path, keep, &fd);
    return fd;
}

int broker_socket_connect(const char *control_path)
{
    int fd = connect_to_file(control_path);
    int saved = errno;

    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == EPROTOTYPE))
        fd = broker_socket_connect_abstract(control_path);
    errno = saved;
    return fd;
}

static int close_probe(int fd)
{
    if (fd >= 0) {
        close(fd);
        return 1;
    }
    return errno == ECONNREFUSED || errno == ENOENT ? 0 : -1;
}

int broker_socket_probe(const char *control_path)
{
    return close_probe(broker_socket_connect(control_path));
}
