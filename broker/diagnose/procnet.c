/*
 * procnet.c - see procnet.h. Sockets are copied where the kernel lets us (pidfd_getfd). Else the
 * inodes behind /proc/PID/fd are looked up in the tables of /proc/PID/net, which put listening TCP
 * sockets first. These are the same for all processes of a network namespace, and as long as the
 * machine has sockets: they are read once a turn.
 */
#include "broker/diagnose/procnet.h"

#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "broker/base/address.h"
#include "broker/base/turn.h"
#include "broker/pool/closer.h"

#define SOCKETS_MAX 256      /* of one process that are looked at */
#define FDS_MAX 4096         /* of one process, among which they are */
#define LINES 64             /* of a table between looks at the clock */
#define STATE_LISTEN 0x0a    /* TCP_LISTEN of the kernel */
#define FLAG_ACCEPTS 0x10000 /* __SO_ACCEPTCON */
#define UNIX_CONNECTED 3     /* SS_CONNECTED */

struct sockets {
    unsigned long inodes[SOCKETS_MAX];
    int count;
};

struct list {
    char *text;
    size_t size;
    bool found;
};

struct entry {
    unsigned long inode;
    struct address address; /* of no length for a connection */
};

/* The sockets of a network namespace that listen, or the connections. */
struct table {
    ino_t netns;
    bool listens;
    bool is_whole; /* false: no time for all */
    struct entry *entries;
    size_t count, room;
    struct table *next;
};

/* Of this turn. */
static struct table *tables;

static void read_inodes(pid_t pid, struct sockets *sockets)
{
    char path[32];
    char link[64];
    struct dirent *entry;
    unsigned looked = 0;

    sockets->count = 0;
    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    DIR *dir = opendir(path);
    while (dir && sockets->count < SOCKETS_MAX && ++looked < FDS_MAX &&
           (entry = readdir(dir)) != NULL) {
        ssize_t len = readlinkat(dirfd(dir), entry->d_name, link, sizeof link - 1);
        link[len < 0 ? 0 : len] = '\0';
        if (sscanf(link, "socket:[%lu]", &sockets->inodes[sockets->count]) == 1)
            sockets->count++;
    }
    if (dir)
        closedir(dir);
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

/* "SLOT: IP:PORT PEER:PORT STATE QUEUES TIMER RETRANSMITS UID TIMEOUT INODE": an address is words
 * of eight digits, each as it lies in memory here. */
static bool parse_tcp(const char *line, struct address *address, unsigned *state,
                      unsigned long *inode)
{
    char ip[33];
    unsigned port;
    uint32_t words[4] = {0};
    struct sockaddr_in *v4 = (struct sockaddr_in *)&address->storage;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&address->storage;

    if (sscanf(line, " %*d: %32[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*s %*s %*s %*u %*u %lu", ip,
               &port, state, inode) != 4)
        return false;
    size_t count = strlen(ip) / 8;
    for (size_t i = 0; i < count; i++)
        sscanf(ip + 8 * i, "%8x", &words[i]);
    *address = (struct address){.len = count == 1 ? sizeof *v4 : sizeof *v6};
    if (count == 1) {
        *v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((in_port_t)port)};
        memcpy(&v4->sin_addr, words, sizeof v4->sin_addr);
    } else {
        *v6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons((in_port_t)port)};
        memcpy(&v6->sin6_addr, words, sizeof v6->sin6_addr);
    }
    return true;
}

static struct entry *add_entry(struct table *table)
{
    if (table->count == table->room) {
        table->room = table->room ? table->room * 2 : 256;
        table->entries = realloc(table->entries, table->room * sizeof *table->entries);
        if (!table->entries)
            abort();
    }
    return &table->entries[table->count++];
}

/* False: no more of what is wanted comes. */
static bool add_tcp(struct table *table, const char *line)
{
    struct entry *entry = add_entry(table);
    unsigned state;

    bool is_one = parse_tcp(line, &entry->address, &state, &entry->inode);
    if (!is_one || (state == STATE_LISTEN) != table->listens)
        table->count--;
    else if (!table->listens)
        entry->address.len = 0;
    return !is_one || state == STATE_LISTEN || !table->listens;
}

/* "NUMBER: REFERENCES PROTOCOL FLAGS TYPE STATE INODE PATH", '@' for the zero of an abstract name.
 */
static bool parse_unix(const char *line, struct address *address, unsigned long *inode)
{
    struct sockaddr_un *name = (struct sockaddr_un *)&address->storage;
    unsigned flags;
    int at = 0;

    *address = (struct address){.len = 0};
    if (sscanf(line, "%*[^:]: %*x %*x %x %*x %*x %lu %n", &flags, inode, &at) != 2 || !at ||
        !(flags & FLAG_ACCEPTS))
        return false;
    size_t len = strcspn(line + at, "\n");
    if (len > sizeof name->sun_path - 1)
        len = sizeof name->sun_path - 1;
    name->sun_family = AF_UNIX;
    memcpy(name->sun_path, line + at, len);
    if (name->sun_path[0] == '@')
        name->sun_path[0] = '\0';
    address->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    return true;
}

/* "... FLAGS TYPE STATE INODE PATH": connected (3), and with a name. */
static bool is_named_connection(const char *line, unsigned long *inode)
{
    unsigned flags;
    unsigned state;
    char name[2];

    return sscanf(line, "%*[^:]: %*x %*x %x %*x %x %lu %1s", &flags, &state, inode, name) == 4 &&
           state == UNIX_CONNECTED;
}

static bool add_unix(struct table *table, const char *line)
{
    struct entry *entry = add_entry(table);

    if (table->listens) {
        table->count -= !parse_unix(line, &entry->address, &entry->inode);
        return true;
    }
    entry->address.len = 0;
    table->count -= !is_named_connection(line, &entry->inode);
    return true;
}

static void read_table(struct table *table, pid_t pid, const char *name,
                       bool (*add)(struct table *table, const char *line))
{
    char path[48];
    char line[256];
    char buffer[16384]; /* stdio would ask for a KiB at a time */
    unsigned lines = 0;

    snprintf(path, sizeof path, "/proc/%d/net/%s", (int)pid, name);
    FILE *file = fopen(path, "re");
    if (!file)
        return;
    setvbuf(file, buffer, _IOFBF, sizeof buffer);
    while (table->is_whole && fgets(line, sizeof line, file) && add(table, line))
        table->is_whole = ++lines % LINES != 0 || turn_has_time();
    fclose(file);
}

static void forget_tables(void)
{
    struct table *table;

    while ((table = tables) != NULL) {
        tables = table->next;
        free(table->entries);
        free(table);
    }
}

/* NULL: its namespace is not known. */
static const struct table *find_table(pid_t pid, bool listens)
{
    static uint64_t read_in_turn;
    struct table *table;
    struct stat info;
    char path[48];

    if (read_in_turn != turn_number())
        forget_tables();
    read_in_turn = turn_number();
    snprintf(path, sizeof path, "/proc/%d/ns/net", (int)pid);
    if (stat(path, &info) < 0)
        return NULL;
    for (table = tables; table; table = table->next)
        if (table->netns == info.st_ino && table->listens == listens)
            return table;
    if (!(table = calloc(1, sizeof *table)))
        abort();
    *table =
        (struct table){.netns = info.st_ino, .listens = listens, .is_whole = true, .next = tables};
    tables = table;
    read_table(table, pid, "tcp", add_tcp);
    read_table(table, pid, "tcp6", add_tcp);
    read_table(table, pid, "unix", add_unix);
    return table;
}

/* *denied: its descriptors cannot be copied. */
static bool match_sockets(pid_t pid, bool (*match)(int fd, void *context), void *context,
                          bool *denied)
{
    char path[32];
    char link[64];
    struct dirent *entry;
    bool found = false;
    int left = SOCKETS_MAX;
    int pid_fd = pidfd_open(pid, 0);

    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    DIR *dir = pid_fd < 0 ? NULL : opendir(path);
    while (dir && !found && left > 0 && turn_has_time() && (entry = readdir(dir)) != NULL) {
        ssize_t len = readlinkat(dirfd(dir), entry->d_name, link, sizeof link - 1);
        if (len < 8 || memcmp(link, "socket:[", 8) != 0)
            continue;
        int fd = pidfd_getfd(pid_fd, atoi(entry->d_name), 0);
        *denied |= fd < 0 && errno == EPERM;
        found = fd >= 0 && match(fd, context);
        closer_close(fd);
        left--;
    }
    if (dir)
        closedir(dir);
    if (pid_fd >= 0)
        close(pid_fd);
    return found;
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
    int listens = 0;
    socklen_t len = sizeof listens;

    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) == 0 && listens &&
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
    const struct table *table = sockets.count > 0 ? find_table(pid, true) : NULL;
    for (size_t i = 0; table && i < table->count; i++) {
        const struct entry *entry = &table->entries[i];
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

bool procnet_has_connection(pid_t pid)
{
    struct sockets sockets;

    read_inodes(pid, &sockets);
    const struct table *table = sockets.count > 0 ? find_table(pid, false) : NULL;
    for (size_t i = 0; table && i < table->count; i++)
        if (has_inode(&sockets, table->entries[i].inode))
            return true;
    return table && !table->is_whole;
}

/* Whether a socket that is bound to one keeps another from the other. */
static bool excludes(const struct address *a, const struct address *b)
{
    return address_equal(a, b) || address_is_wildcard_of(a, b) || address_is_wildcard_of(b, a);
}

static unsigned long find_tcp(FILE *file, const struct address *wanted)
{
    char line[256];
    struct address address;
    unsigned state = STATE_LISTEN;
    unsigned long inode;

    if (!fgets(line, sizeof line, file)) /* the heading */
        return 0;
    while (state == STATE_LISTEN && fgets(line, sizeof line, file))
        if (parse_tcp(line, &address, &state, &inode) && state == STATE_LISTEN &&
            excludes(&address, wanted))
            return inode;
    return 0;
}

static unsigned long find_unix(FILE *file, const struct address *wanted)
{
    char line[256];
    struct address address;
    unsigned long inode;

    while (fgets(line, sizeof line, file))
        if (parse_unix(line, &address, &inode) && address_equal(&address, wanted))
            return inode;
    return 0;
}

ino_t procnet_find_inode(const struct address *address)
{
    static const char *const own_tables[] = {"/proc/self/net/tcp", "/proc/self/net/tcp6",
                                             "/proc/self/net/unix"};
    unsigned long inode = 0;

    for (int i = 0; i < 3 && !inode; i++) {
        FILE *file = fopen(own_tables[i], "re");
        if (!file)
            continue;
        inode = i < 2 ? find_tcp(file, address) : find_unix(file, address);
        fclose(file);
    }
    return (ino_t)inode;
}
