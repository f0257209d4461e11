/*
 * conn_table.h - the connections of --conn-log whose end is not known yet, in memory that survives
 * the broker by the journal. Who waits longest to be looked at is first in its queue.
 *
 * A broker may be killed between any two instructions: a record counts from the store of its level
 * until conn_table_remove() stores 0.
 */
#ifndef SSHIM_BROKER_OPERATE_TELL_CONN_LOG_CONN_TABLE_H
#define SSHIM_BROKER_OPERATE_TELL_CONN_LOG_CONN_TABLE_H

#include <assert.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "broker/diagnose/sock_diag.h"

#define CONN_TABLE_MAX 65536 /* records */
#define CONN_LEVELS 11

/* An address of TCP. */
union conn_address {
    sa_family_t family;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
};

/* What the next broker goes on with. A later version may put more behind it, and nothing before. */
struct conn_kept {
    _Atomic uint32_t level; /* plus 1: how often it is looked at; 0: a free record */
    uint32_t slot;
    struct sock_diag_key key;
    union conn_address client;   /* as the worker was told */
    union conn_address listener; /* its address */
    uint32_t has_sender;         /* of a PROXY header, which the key names */
    uint32_t unused;
    int64_t handed_ms; /* CLOCK_MONOTONIC */
    int64_t wait_ms;   /* until then; -1: not known */
};
static_assert(sizeof(struct conn_kept) == 136, "brokers of other versions read it");

/* Of this broker alone. */
struct conn {
    struct conn_kept *kept;
    int64_t due_ms;      /* the next look */
    int64_t unlisted_ms; /* a list at that time did not have it; 0: the last one did */
    uint32_t list;       /* the number of the last list that had it */
    TAILQ_ENTRY(conn) of_level;
    LIST_ENTRY(conn) of_bucket;
};

/* How often a connection of this level is looked at. */
static inline int64_t conn_interval_ms(uint32_t level)
{
    return INT64_C(10) << level;
}

/* Goes on with the table of the broker before (takes fd; -1: none), or makes one. What cannot be
 * read is told in one line. 0, or -1 with the errno of calloc(3), memfd_create(2), ftruncate(2) or
 * mmap(2). */
int conn_table_open(int fd, int64_t now_ms);

/* There is none from now on, and none was open for which a line is due. */
void conn_table_close(void);

/* The broker before has left that one (takes fd; -1: none), and there is none from now on. */
void conn_table_give_up(int fd);

/* A record like this one, at level 0; in place of one with the same cookie, which was handed to
 * another worker. False: the table is full. */
bool conn_table_add(const struct conn_kept *like, int64_t now_ms);

/* It was looked at, and is still open; or was left out by a list, and is looked at again soon. */
void conn_table_put_off(struct conn *conn, int64_t now_ms);

void conn_table_remove(struct conn *conn);

/* The one that is due first, or NULL. */
struct conn *conn_table_first(void);

/* The record of this cookie, or NULL. */
struct conn *conn_table_find(uint64_t cookie);

/* How many there are. */
uint32_t conn_table_count(void);

/* Whether at least so many are due that have the family and the local port of this one. */
bool conn_table_has_due(const struct conn *like, uint32_t count, int64_t now_ms);

#endif
