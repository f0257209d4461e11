/* rendezvous.c - see rendezvous.h. No name that another user could take first is needed: the
 * abstract one is random, the file is in a folder of ours unless the operator chose another. */
#include "broker/operate/rendezvous.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "broker/base/broker.h"
#include "broker/base/log.h"
#include "broker/base/loop/fds.h"
#include "broker/cli/broker_socket.h"
#include "broker/cli/runtime_paths.h"
#include "broker/diagnose/holders.h"
#include "broker/life/launch/spawn.h"
#include "broker/pool/session/session.h"
#include "proto/wire.h"

#define LOCK_MS 2000
#define LOCK_LOOK_MS 20

/* Listens on one name. -1 with errno; the caller logs it. */
static int listen_on(enum door_name door, const struct sockaddr_un *addr, socklen_t len)
{
    int type = door < DOOR_CONTROL ? SOCK_SEQPACKET : SOCK_STREAM;
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return -1;
    if (bind(fd, (const struct sockaddr *)addr, len) == 0 && listen(fd, SOMAXCONN) == 0 &&
        session_listen(door, fd) == 0)
        return fd;
    fds_close(fd);
    return -1;
}

/* Any user can take an abstract name of this form, but only one of the broker's user counts. A path
 * that was cut could be that of another instance. */
static bool lives_without_file(const char *path)
{
    int fd = broker_socket_connect_abstract(path);

    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

/* For workers: reachable after chroot and for any uid, guarded by the token and SO_PEERCRED. They
 * get the name from spawn.c; the path in it, which may be cut, is for readers of ss(8). */
static bool open_abstract(void)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    char name[sizeof addr.sun_path + sizeof broker.control_path];
    uint64_t random[2];

    if (getrandom(random, sizeof random, 0) != sizeof random) {
        log_error("cannot open the workers' socket: the kernel gives no random number (%s)",
                  strerror(errno));
        return false;
    }
    snprintf(name, sizeof name, BROKER_SOCKET_PREFIX "%016" PRIx64 "%016" PRIx64 ":%s", random[0],
             random[1], broker.control_path);
    size_t len = strnlen(name, sizeof addr.sun_path - 1);
    memcpy(addr.sun_path + 1, name, len);
    if (listen_on(DOOR_NAME, &addr,
                  (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + len)) >= 0)
        return true;
    bool is_forbidden = errno == EAFNOSUPPORT || errno == EPERM || errno == EACCES;
    log_error("cannot open the workers' socket: %s; %s", strerror(errno),
              is_forbidden ? "a filter forbids AF_UNIX sockets: let it pass them (systemd: add "
                             "AF_UNIX to RestrictAddressFamilies)"
              : errno == EMFILE ? "raise the limit of open files (ulimit -n)"
                                : "check the limits of this process");
    return false;
}

/* Broker and keeper were killed at once, and the workers accept by themselves. The socket file
 * stays until they have ended, so that this is noticed again: where they set SO_REUSEPORT the
 * addresses could be bound. */
static bool serves_without_broker(const char *path)
{
    struct holders holders;

    if (!holders_of_instance(path, spawn_uid(), &holders))
        return false;
    log_error("the broker at %s was killed, and %u of its processes still serve %s: %s; end them "
              "with 'kill %s', then run this again",
              path, holders.count, holders.listens_on, holders.named, holders.pids);
    return true;
}

static void tell_in_use(const char *path, int error)
{
    char instance[RUNTIME_PATHS_DESCRIBED_MAX];

    runtime_paths_describe(path, instance, sizeof instance);
    if (error == 0)
        log_error("another broker already runs at %s; stop it with 'sshim stop %s' or give --name "
                  "or --control",
                  path, instance);
    else if (error == EPERM)
        log_error("cannot use %s as control socket: a process of another user listens there; give "
                  "a --control PATH in a folder of yours",
                  path);
    else
        log_error("cannot remove the old control socket %s: %s; remove it or give --control", path,
                  strerror(error));
}

static void link_address(const char *control_path, struct sockaddr_un *addr)
{
    size_t len = strnlen(control_path, sizeof addr->sun_path - sizeof WIRE_LINK_SUFFIX);

    *addr = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(addr->sun_path, control_path, len);
    memcpy(addr->sun_path + len, WIRE_LINK_SUFFIX, sizeof WIRE_LINK_SUFFIX);
}

static void unlink_link(const char *control_path)
{
    struct sockaddr_un addr;

    link_address(control_path, &addr);
    unlink(addr.sun_path);
}

/* A socket file without a broker behind it was left by one that was killed. */
static bool remove_stale(const char *path)
{
    struct stat info;

    if (lives_without_file(path)) {
        tell_in_use(path, 0);
        return false;
    }
    if (lstat(path, &info) < 0)
        return true;
    if (!S_ISSOCK(info.st_mode)) {
        log_error("cannot use %s as control socket: it is a file of another kind; give another "
                  "--control",
                  path);
        return false;
    }
    int lives = broker_socket_probe(path);
    if (lives == 0 && serves_without_broker(path))
        return false;
    if (lives == 0 && unlink(path) == 0) {
        unlink_link(path);
        return true;
    }
    tell_in_use(path, lives == 1 ? 0 : errno);
    return false;
}

/* With these rights from the first instant on. */
static bool open_file(enum door_name door, const struct sockaddr_un *addr, mode_t mode)
{
    mode_t old_mask = umask(0777 & ~mode);
    int fd = listen_on(door, addr, sizeof *addr);
    int saved = errno;

    umask(old_mask);
    if (fd >= 0)
        return true;
    log_error("cannot open the %s %s: %s; give a --control PATH in a folder of yours",
              door == DOOR_LINK ? "socket of the workers" : "control socket", addr->sun_path,
              strerror(saved));
    return false;
}

static bool open_control(void)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};

    memcpy(addr.sun_path, broker.control_path, strlen(broker.control_path));
    return open_file(DOOR_CONTROL, &addr, 0600);
}

static bool open_link(void)
{
    struct sockaddr_un addr;

    link_address(broker.control_path, &addr);
    unlink(addr.sun_path); /* the control socket itself was not there, or was stale */
    return open_file(DOOR_LINK, &addr, 0600);
}

/* --- --control-ro --- */

/* What an earlier broker left there, if nobody listens: one may connect to it then. */
static bool make_way(const struct sockaddr_un *addr)
{
    struct stat info;

    if (lstat(addr->sun_path, &info) < 0)
        return true;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool is_stale = S_ISSOCK(info.st_mode) && fd >= 0 &&
                    connect(fd, (const struct sockaddr *)addr, sizeof *addr) < 0 &&
                    errno == ECONNREFUSED;
    if (fd >= 0)
        close(fd);
    if (is_stale && unlink(addr->sun_path) == 0)
        return true;
    log_error("cannot use %s for --control-ro: something is there that is not a left-over socket; "
              "remove it or give another PATH",
              addr->sun_path);
    return false;
}

bool rendezvous_knows_group(void)
{
    const char *name = broker.config.control_ro.group;

    if (!name[0] || getgrnam(name))
        return true;
    log_error("there is no group '%s' for --control-ro; give the name of one that exists", name);
    return false;
}

/* The group before the rights: else a process outside the group could get in. */
static bool open_read_only(void)
{
    const struct config_read_only *wanted = &broker.config.control_ro;
    const struct group *group = wanted->group[0] ? getgrnam(wanted->group) : NULL;
    struct sockaddr_un addr = {.sun_family = AF_UNIX};

    if (!wanted->path[0])
        return true;
    if (wanted->group[0] && !group)
        return rendezvous_knows_group();
    if (!runtime_paths_control(wanted->path, NULL, addr.sun_path, sizeof addr.sun_path) ||
        !make_way(&addr) || !open_file(DOOR_READ_ONLY, &addr, 0600))
        return false;
    if ((!group || chown(addr.sun_path, (uid_t)-1, group->gr_gid) == 0) &&
        chmod(addr.sun_path, wanted->mode) == 0)
        return true;
    log_error("cannot give %s its group and rights for --control-ro: %s; be root, or a member of "
              "the group",
              addr.sun_path, strerror(errno));
    unlink(addr.sun_path);
    return false;
}

/*
 * If two brokers start at once, each finds a left-over file, and the second would remove the socket
 * that the first has just bound. So they take turns, by a lock on the folder (gives, -1: none).
 * Another process that can open the folder could hold that lock; it delays us by at most LOCK_MS.
 */
static int lock_folder(const char *path)
{
    char folder[sizeof broker.control_path];
    const char *slash = strrchr(path, '/');

    snprintf(folder, sizeof folder, "%.*s/", (int)(slash - path), path);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int left_ms = LOCK_MS; fd >= 0 && left_ms > 0; left_ms -= LOCK_LOOK_MS) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK)
            break;
        usleep(LOCK_LOOK_MS * 1000);
    }
    return fd;
}

/* A broker of an older version has its messages at the control socket itself. */
void rendezvous_complete(void)
{
    struct sockaddr_un addr;

    link_address(broker.control_path, &addr);
    if (door_fd(DOOR_CONTROL) < 0 && rename(broker.control_path, addr.sun_path) == 0)
        open_control();
    if (door_fd(DOOR_READ_ONLY) < 0)
        open_read_only();
}

static void unlink_file(enum door_name door)
{
    struct sockaddr_un addr = {.sun_family = AF_UNSPEC};
    socklen_t len = sizeof addr;
    int fd = door_fd(door);

    if (fd >= 0 && getsockname(fd, (struct sockaddr *)&addr, &len) == 0 && addr.sun_path[0])
        unlink(addr.sun_path);
}

void rendezvous_close(void)
{
    if (door_fd(DOOR_LINK) >= 0)
        unlink_link(broker.control_path);
    unlink_file(DOOR_CONTROL);
    unlink_file(DOOR_READ_ONLY);
}

bool rendezvous_open(void)
{
    if (!runtime_paths_make_run_folder(broker.control_path))
        return false;
    int lock_fd = lock_folder(broker.control_path);
    bool is_open = remove_stale(broker.control_path) && open_abstract() && open_link() &&
                   open_control() && open_read_only();
    if (lock_fd >= 0)
        close(lock_fd);
    if (!is_open)
        rendezvous_close();
    return is_open;
}
