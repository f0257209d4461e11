/*
 * net_table.h - the sockets of a network namespace, by the tables of /proc/PID/net (proc(5)).
 */
#ifndef SSHIM_BROKER_DIAGNOSE_PROCNET_NET_TABLE_H
#define SSHIM_BROKER_DIAGNOSE_PROCNET_NET_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "broker/base/address.h"

struct net_entry {
    unsigned long inode;
    struct address address; /* of no length for a connection */
};

/* The sockets of a network namespace that listen, or the connections. */
struct net_table {
    ino_t netns;
    bool listens;
    bool is_whole; /* false: no time for all */
    struct net_entry *entries;
    size_t count, room;
    struct net_table *next;
};

/* The table of the namespace of this process, which is kept until the turn ends. Takes as long as
 * there are connections on the machine. NULL: its namespace is not known. */
const struct net_table *net_table_find(pid_t pid, bool listens);

/* Whether match says so of a listening AF_UNIX socket of our network namespace; reads all of them.
 */
bool net_table_match_unix(bool (*match)(const struct address *address, ino_t ino, void *context),
                          void *context);

/* The inode of a listening socket that has this address, or one of the same port where either is
 * every address; 0: there is none in our network namespace. */
ino_t net_table_find_inode(const struct address *address);

#endif
