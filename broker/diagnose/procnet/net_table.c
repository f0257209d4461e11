/* net_table.c - see net_table.h. The tables of a network namespace are the same for all of its
 * processes, and as long as the machine has sockets: they are read once a turn. */
#include "broker/diagnose/procnet/net_table.h"

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "broker/base/turn.h"

#define LINES 64             /* of a table between looks at the clock */
#define STATE_LISTEN 0x0a    /* TCP_LISTEN of the kernel */
#define FLAG_ACCEPTS 0x10000 /* __SO_ACCEPTCON */
#define UNIX_CONNECTED 3     /* SS_CONNECTED */

/* Of this turn. */
static struct net_table *tables;

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

static struct net_entry *add_entry(struct net_table *table)
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
static bool add_tcp(struct net_table *table, const char *line)
{
    struct net_entry *entry = add_entry(table);
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

static bool add_unix(struct net_table *table, const char *line)
{
    struct net_entry *entry = add_entry(table);

    if (table->listens) {
        table->count -= !parse_unix(line, &entry->address, &entry->inode);
        return true;
    }
    entry->address.len = 0;
    table->count -= !is_named_connection(line, &entry->inode);
    return true;
}

static void read_table(struct net_table *table, pid_t pid, const char *name,
                       bool (*add)(struct net_table *table, const char *line))
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
    struct net_table *table;

    while ((table = tables) != NULL) {
        tables = table->next;
        free(table->entries);
        free(table);
    }
}

/* NULL: its namespace is not known. */
const struct net_table *net_table_find(pid_t pid, bool listens)
{
    static uint64_t read_in_turn;
    struct net_table *table;
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
    *table = (struct net_table){
        .netns = info.st_ino, .listens = listens, .is_whole = true, .next = tables};
    tables = table;
    read_table(table, pid, "tcp", add_tcp);
    read_table(table, pid, "tcp6", add_tcp);
    read_table(table, pid, "unix", add_unix);
    return table;
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

bool net_table_match_unix(bool (*match)(const struct address *address, ino_t ino, void *context),
                          void *context)
{
    char line[256];
    struct address address;
    unsigned long inode;
    bool found = false;
    FILE *file = fopen("/proc/self/net/unix", "re");

    while (file && !found && fgets(line, sizeof line, file))
        found = parse_unix(line, &address, &inode) && match(&address, (ino_t)inode, context);
    if (file)
        fclose(file);
    return found;
}

struct unix_search {
    const struct address *wanted;
    ino_t inode;
};

static bool match_address(const struct address *address, ino_t inode, void *context)
{
    struct unix_search *search = context;

    search->inode = inode;
    return address_equal(address, search->wanted);
}

ino_t net_table_find_inode(const struct address *address)
{
    static const char *const own_tables[] = {"/proc/self/net/tcp", "/proc/self/net/tcp6"};
    struct unix_search search = {.wanted = address};
    unsigned long inode = 0;

    for (int i = 0; i < 2 && !inode; i++) {
        FILE *file = fopen(own_tables[i], "re");
        if (!file)
            continue;
        inode = find_tcp(file, address);
        fclose(file);
    }
    if (!inode && net_table_match_unix(match_address, &search))
        return search.inode;
    return (ino_t)inode;
}
