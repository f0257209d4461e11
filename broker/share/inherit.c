/* inherit.c - see inherit.h. */
#include "broker/share/inherit.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "broker/base/address.h"
#include "broker/base/broker.h"
#include "broker/base/log.h"
#include "broker/base/loop.h"
#include "broker/base/loop/fds.h"
#include "broker/base/options/parse.h"
#include "broker/life/launch/original.h"
#include "broker/pool/listener.h"
#include "broker/share/store.h"

#define FIRST_FD 3 /* SD_LISTEN_FDS_START */
#define FDS_MAX 128
#define NAME_SIZE 256 /* sd_listen_fds_with_names(3): at most 255 characters */
#define LATE_MS 2000  /* in which a worker that is ready listens on the rest */

static bool told;

/* How many, 0 when they are for another process. */
static unsigned count_given(void)
{
    const char *pid = getenv("LISTEN_PID");
    const char *count = getenv("LISTEN_FDS");
    unsigned number;

    if (!pid || !count || strtol(pid, NULL, 10) != getpid() ||
        !option_parse_number(count, 0, FDS_MAX, &number))
        return 0;
    if (number <= original_count_fds())
        return number;
    log_error("LISTEN_FDS says %u descriptors, but %u are open from 3 on; using no others", number,
              original_count_fds());
    return original_count_fds();
}

static bool listens(int fd, struct address *address)
{
    address->len = sizeof address->storage;
    return fds_get_option(fd, SO_ACCEPTCONN) > 0 &&
           getsockname(fd, (struct sockaddr *)&address->storage, &address->len) == 0 &&
           socket_key_is_fit(fd, address->storage.ss_family) &&
           (address->storage.ss_family == AF_INET || address->storage.ss_family == AF_INET6 ||
            address->storage.ss_family == AF_UNIX);
}

/* The file of a socket, by which workers ask for it, and the key that they use: its name alone. */
static bool find_file(struct address *address, struct path *path)
{
    struct sockaddr_un *un = (struct sockaddr_un *)&address->storage;
    char folder[sizeof un->sun_path + 1];
    struct stat info;
    char *slash = strrchr(un->sun_path, '/');

    if (!slash || slash >= un->sun_path + sizeof un->sun_path - 1 || lstat(un->sun_path, &info) < 0)
        return false;
    snprintf(folder, sizeof folder, "%.*s/", (int)(slash - un->sun_path), un->sun_path);
    int folder_fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (folder_fd < 0)
        return false;
    if (path_open(path, folder_fd, slash + 1) < 0) {
        close(folder_fd);
        return false;
    }
    path->ino = info.st_ino;
    memmove(un->sun_path, slash + 1, strlen(slash + 1) + 1);
    address->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(un->sun_path));
    return true;
}

/* Takes fd if it succeeds. */
static bool make_listener(int fd, struct address *key, const char *name)
{
    struct path path;
    bool has_file = address_is_path(key);

    if (has_file && !find_file(key, &path))
        return false;
    struct listener *listener = listener_create(key, 0, has_file ? &path : NULL);
    if (!listener) {
        if (has_file)
            path_close(&path);
        return false;
    }
    listener_set_inherited(listener);
    if (store_is_name(name))
        listener_set_stored(listener);
    else
        listener_set_name(listener, name);
    if (listener_set_canonical(listener, fd) == 0)
        return true;
    listener_destroy(listener);
    return false;
}

/* A name that is a port: the server asks for that one, whatever the socket has. */
static void select_port(struct address *key, const char *name)
{
    struct sockaddr_in *in = (struct sockaddr_in *)&key->storage;
    bool is_ip = key->storage.ss_family == AF_INET || key->storage.ss_family == AF_INET6;
    unsigned port;

    if (is_ip && option_parse_number(name, 1, UINT16_MAX, &port))
        in->sin_port = htons((in_port_t)port); /* in the same place in both */
}

/* Whether workers would find another socket by this address. Files are told apart by their paths.
 */
static bool is_given_twice(int fd, const struct address *key)
{
    struct socket_key socket = {0};

    socket_key_read(&socket, key, fd);
    return !address_is_path(key) && listener_find(key, &socket, 0);
}

static void take(int fd, const char *name)
{
    struct address address = {0};
    char text[ADDRESS_TEXT_MAX];
    struct stat info;

    fcntl(fd, F_SETFD, FD_CLOEXEC);
    if (store_is_name(name) && fstat(fd, &info) == 0)
        store_note(info.st_ino);
    if (!listens(fd, &address)) {
        if (store_is_name(name)) { /* its listener had ended */
            close(fd);
            return;
        }
        log_error("cannot use descriptor %d of LISTEN_FDS: it is no listening stream socket; give "
                  "the unit ListenStream= alone",
                  fd);
        return;
    }
    address_format(&address, text);
    select_port(&address, name);
    if (is_given_twice(fd, &address))
        log_error("cannot use %s of LISTEN_FDS: a socket before it is for the same address%s%s; "
                  "give each socket a FileDescriptorName= of its own",
                  text, *name ? ", by the name " : "", name);
    else if (make_listener(fd, &address, name))
        log_debug("%s comes from the service manager%s%s", text, *name ? " as " : "", name);
    else
        log_error("cannot use %s of LISTEN_FDS: %s; let the server bind it itself", text,
                  strerror(errno));
}

/* Of LISTEN_FDNAMES, between colons; "" where there is none. */
static void get_name(unsigned number, char name[NAME_SIZE])
{
    const char *names = getenv("LISTEN_FDNAMES");

    for (; names && number > 0; number--) {
        names = strchr(names, ':');
        names += names ? 1 : 0;
    }
    snprintf(name, NAME_SIZE, "%.*s", names ? (int)strcspn(names, ":") : 0, names ? names : "");
}

void inherit_begin(void)
{
    unsigned count = count_given();
    char name[NAME_SIZE];

    for (unsigned i = 0; i < count; i++) {
        get_name(i, name);
        take(FIRST_FD + (int)i, name);
    }
    told = count == 0;
}

/* It was kept for us, and the server asks for other addresses now. */
static void give_up_stored(void)
{
    struct listener *listener = TAILQ_FIRST(&listeners);

    while (listener) {
        struct listener *next = TAILQ_NEXT(listener, all);
        if (listener->stored && listener->inherited && !listener->listening &&
            listener->channel_count == 0) {
            listener_set_own(listener);
            listener_destroy(listener);
        }
        listener = next;
    }
}

static void on_late(struct loop_timer *timer)
{
    char text[SOCKET_KEY_TEXT_MAX];
    const struct listener *listener;

    (void)timer;
    give_up_stored();
    TAILQ_FOREACH(listener, &listeners, all)
        if (listener->inherited && !listener->listening)
            log_info("no worker listens on %s, which the service manager gave: clients wait there; "
                     "the server has to ask for exactly this address",
                     socket_key_format(&listener->socket, &listener->bound, text));
}

void inherit_review(void)
{
    static struct loop_timer timer = {.on_time = on_late};

    if (!told)
        loop_start_timer(&timer, LATE_MS);
    told = true;
}
