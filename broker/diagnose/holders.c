/* holders.c - see holders.h. */
#include "broker/diagnose/holders.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "broker/base/broker.h"
#include "broker/base/process/procfs.h"
#include "broker/base/process/glance.h"
#include "broker/diagnose/procnet.h"
#include "broker/diagnose/procnet/net_table.h"

struct search {
    struct holders *holders;
    const char *control_path;
    uid_t workers_uid;
    ino_t ino;
};

/* Appends what fits with its separator, or "..." once. */
static void append(char *list, size_t size, const char *separator, const char *text)
{
    size_t used = strlen(list);
    const char *between = used ? separator : "";

    if (used >= 3 && strcmp(list + used - 3, "...") == 0)
        return;
    bool fits = used + strlen(between) + strlen(text) + sizeof " ..." < size;
    snprintf(list + used, size - used, "%s%s", between, fits ? text : "...");
}

static void add(struct holders *holders, pid_t pid)
{
    char command[32];
    char text[64];

    procfs_get_command(pid, command, sizeof command);
    holders->count++;
    snprintf(text, sizeof text, "pid %d (%s)", (int)pid, command);
    append(holders->named, sizeof holders->named, ", ", text);
    snprintf(text, sizeof text, "%d", (int)pid);
    append(holders->pids, sizeof holders->pids, " ", text);
}

static bool is_trusted(pid_t pid, uid_t workers_uid)
{
    uid_t uid;

    return procfs_get_uid(pid, &uid) && (uid == broker.uid || uid == workers_uid);
}

static void visit_instance(pid_t pid, void *context)
{
    const struct search *search = context;
    struct holders *holders = search->holders;
    char path[sizeof broker.control_path + 1];

    if (pid != getpid() && is_trusted(pid, search->workers_uid) &&
        glance_get_environment(pid, "SSHIM_BROKER", path, sizeof path) &&
        strcmp(path, search->control_path) == 0 &&
        procnet_find_listening(pid, holders->listens_on, sizeof holders->listens_on))
        add(holders, pid);
}

bool holders_of_instance(const char *control_path, uid_t workers_uid, struct holders *holders)
{
    struct search search = {holders, control_path, workers_uid, 0};

    *holders = (struct holders){.count = 0};
    procfs_each(visit_instance, &search);
    return holders->count > 0;
}

static void visit_socket(pid_t pid, void *context)
{
    const struct search *search = context;

    struct holders *holders = search->holders;

    if (pid == getpid() || procfs_find_socket(pid, search->ino) < 0)
        return;
    add(holders, pid);
    if (!holders->broker[0] && is_trusted(pid, 0))
        procnet_find_broker(pid, holders->broker, sizeof holders->broker);
}

bool holders_of_address(const struct address *address, struct holders *holders)
{
    struct search search = {.holders = holders, .ino = net_table_find_inode(address)};

    *holders = (struct holders){.count = 0};
    if (search.ino)
        procfs_each(visit_socket, &search);
    return holders->count > 0;
}
