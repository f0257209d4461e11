/*
 * procnet.c - see procnet.h. Sockets are copied where the kernel lets us (pidfd_getfd). Else the
 * inodes behind /proc/PID/fd are looked up in the tables of net_table.h.
 */
#include "broker/diagnose/procnet.h"

#include <errno.h>
#include <stddef.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "broker/base/address.h"
#include "broker/base/loop/fds.h"
#include "broker/base/process/procfs.h"
#include "broker/base/turn.h"
#include "broker/cli/broker_socket.h"
#include "broker/diagnose/procnet/net_table.h"
#include "broker/pool/closer.h"

#define SOCKETS_MAX 256 /* of one process that are looked at */

struct sockets {
    unsigned long inodes[SOCKETS_MAX];
    int count;
};

struct list {
    char *text;
    size_t size;
    bool found;
};

static bool note_inode(int fd, const char *link, void *context)
{
    struct sockets *sockets = context;

    (void)fd;
    sockets->count += sscanf(link, "socket:[%lu]", &sockets->inodes[sockets->count]) == 1;
    return sockets->count < SOCKETS_MAX;
}

/* False: the turn had no time for all. */
static bool read_inodes(pid_t pid, struct sockets *sockets)
{
    sockets->count = 0;
    return procfs_each_link(pid, note_inode, sockets);
}

static bool has_inode(const struct sockets *sockets, unsigned long inode)
{
    for (int i = 0; i < sockets->count; i++)
        if (sockets->inodes[i] == inode)
            return true;
    return false;
}

static void append(struct list *list, const struct address *address)
{
    char name[ADDRESS_TEXT_MAX];
    size_t used = strlen(list->text);

    address_format(address, name);
    list->found = true;
    if (strstr(list->text, name) || used + sizeof "..." > list->size)
        return;
    if (used + strlen(name) + sizeof ", ..." > list->size)
        strcpy(list->text + used, "...");
    else
        sprintf(list->text + used, "%s%s", used ? ", " : "", name);
}

struct match {
    bool (*match)(int fd, void *context);
    void *context;
    int pid_fd;
    int left; /* sockets that may still be looked at */
    bool denied, found;
};

static bool match_socket(int number, const char *link, void *context)
{
    struct match *match = context;

    if (strncmp(link, "socket:[", 8) != 0)
        return true;
    int fd = pidfd_getfd(match->pid_fd, number, 0);
    match->denied |= fd < 0 && errno == EPERM;
    match->found = fd >= 0 && match->match(fd, match->context);
    closer_close(fd);
    return !match->found && --match->left > 0 && turn_has_time();
}

/* *denied: its descriptors cannot be copied. */
static bool match_sockets(pid_t pid, bool (*function)(int fd, void *context), void *context,
                          bool *denied)
{
    struct match match = {function, context, pidfd_open(pid, 0), SOCKETS_MAX, false, false};

    if (match.pid_fd < 0)
        return false;
    procfs_each_link(pid, match_socket, &match);
    close(match.pid_fd);
    *denied = match.denied;
    return match.found;
}

bool procnet_has_socket(pid_t pid, bool (*match)(int fd, void *context), void *context)
{
    bool denied = false;

    return match_sockets(pid, match, context, &denied);
}

/* --- what it listens on --- */

struct own {
    struct list list;
    bool (*is_ours)(ino_t ino);
    bool only_fixed;
};

/* Whether it is a TCP address with a port that the kernel has not chosen. */
static bool has_fixed_port(const struct address *address)
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)&address->storage;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&address->storage;
    unsigned first = 32768;
    unsigned last = 60999;
    FILE *file = fopen("/proc/sys/net/ipv4/ip_local_port_range", "re");

    if (file) {
        if (fscanf(file, "%u %u", &first, &last) != 2)
            first = 0;
        fclose(file);
    }
    unsigned port = v4->sin_family == AF_INET     ? ntohs(v4->sin_port)
                    : v6->sin6_family == AF_INET6 ? ntohs(v6->sin6_port)
                                                  : 0;
    return port != 0 && (port < first || port > last);
}

static bool is_wanted(const struct own *own, ino_t ino, const struct address *address)
{
    return !(own->is_ours && own->is_ours(ino)) && (!own->only_fixed || has_fixed_port(address));
}

static bool match_listening(int fd, void *context)
{
    struct own *own = context;
    struct address name = {.len = sizeof name.storage};
    struct stat info;

    if (fds_get_option(fd, SO_ACCEPTCONN) > 0 &&
        getsockname(fd, (struct sockaddr *)&name.storage, &name.len) == 0 &&
        fstat(fd, &info) == 0 && is_wanted(own, info.st_ino, &name))
        append(&own->list, &name);
    return false;
}

/* By the tables of its namespace, which takes as long as there are connections on the machine. */
static bool find_own_in_tables(pid_t pid, const struct own *own, char *text, size_t size)
{
    struct sockets sockets;
    struct list list = {text, size, false};

    read_inodes(pid, &sockets);
    const struct net_table *table = sockets.count > 0 ? net_table_find(pid, true) : NULL;
    for (size_t i = 0; table && i < table->count; i++) {
        const struct net_entry *entry = &table->entries[i];
        if (has_inode(&sockets, entry->inode) && is_wanted(own, entry->inode, &entry->address))
            append(&list, &entry->address);
    }
    return list.found;
}

static bool find_own(pid_t pid, const struct own *what, char *text, size_t size)
{
    struct own own = {{text, size, false}, what->is_ours, what->only_fixed};
    bool denied = false;

    match_sockets(pid, match_listening, &own, &denied);
    return denied ? find_own_in_tables(pid, what, text, size) : own.list.found;
}

bool procnet_find_listening(pid_t pid, char *text, size_t size)
{
    return procnet_find_own(pid, NULL, text, size);
}

bool procnet_find_own(pid_t pid, bool (*is_ours)(ino_t ino), char *text, size_t size)
{
    return find_own(pid, &(struct own){.is_ours = is_ours}, text, size);
}

/* As under inetd(8): all workers have it. */
static bool is_standard_input(ino_t ino)
{
    struct stat info;

    return fstat(STDIN_FILENO, &info) == 0 && info.st_ino == ino;
}

bool procnet_find_fixed(pid_t pid, char *text, size_t size)
{
    return find_own(pid, &(struct own){.is_ours = is_standard_input, .only_fixed = true}, text,
                    size);
}

/* "sshim:RANDOM:PATH" behind the zero of an abstract name. NULL: it is another name, or full, and
 * so perhaps cut. */
static const char *control_path_in(const struct address *address)
{
    const struct sockaddr_un *name = (const struct sockaddr_un *)&address->storage;
    const char *text = name->sun_path + 1;
    size_t len = address->len - offsetof(struct sockaddr_un, sun_path);

    if (name->sun_family != AF_UNIX || name->sun_path[0] || len + 1 >= sizeof name->sun_path ||
        strncmp(text, BROKER_SOCKET_PREFIX, strlen(BROKER_SOCKET_PREFIX)) != 0)
        return NULL;
    const char *colon = strchr(text + strlen(BROKER_SOCKET_PREFIX), ':');
    return colon ? colon + 1 : NULL;
}

struct broker_search {
    pid_t pid;
    char *control_path;
    size_t size;
};

static bool match_broker(const struct address *address, ino_t ino, void *context)
{
    const struct broker_search *search = context;
    const char *path = control_path_in(address);

    return path && procfs_find_socket(search->pid, ino) >= 0 &&
           snprintf(search->control_path, search->size, "%s", path) < (int)search->size;
}

bool procnet_find_broker(pid_t pid, char *control_path, size_t size)
{
    return net_table_match_unix(match_broker, &(struct broker_search){pid, control_path, size});
}

bool procnet_has_connection(pid_t pid)
{
    struct sockets sockets;

    bool is_whole = read_inodes(pid, &sockets);
    const struct net_table *table = sockets.count > 0 ? net_table_find(pid, false) : NULL;
    for (size_t i = 0; table && i < table->count; i++)
        if (has_inode(&sockets, table->entries[i].inode))
            return true;
    return !is_whole || (table && !table->is_whole);
}
