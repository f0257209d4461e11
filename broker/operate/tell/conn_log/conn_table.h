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
#include "broker/pool/channel.h"

#define CONN_TABLE_MAX 65536 /* records */
#define CONN_LEVELS 11
#define CONN_LEVEL_NOTED                                                                           \
    7 /* where a worker notes what it closes, questions are for what it misses */

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
    uint32_t forks;              /* of the process, as its note says */
    int64_t handed_ms;           /* CLOCK_MONOTONIC */
    int64_t wait_ms;             /* until then; -1: not known */
    uint64_t channel; /* by which its worker got it; 0: noted by a broker that knew none */
    uint32_t turn;    /* of its worker's note, see proto/notes.h; 0: we have sent it */
    uint32_t unused;
};
#define CONN_KEPT_BEFORE 136 /* without channel and turn */
static_assert(sizeof(struct conn_kept) == 152, "brokers of other versions read it");

/* Of this broker alone. */
struct conn {
    struct conn_kept *kept;
    int64_t due_ms;      /* the next look */
    int64_t unlisted_ms; /* a list at that time did not have it; 0: the last one did */
    uint32_t list;       /* the number of the last list that had it */
    int64_t noted_ms;    /* its worker closed it then, which is not confirmed yet; 0: it has not */
    bool is_forked;      /* and another process may have it */
    struct channel_notes *notes; /* of its channel; NULL: that is gone, or we have resumed */
    TAILQ_ENTRY(conn) of_level;
    LIST_ENTRY(conn) of_bucket;
    LIST_ENTRY(conn) of_channel;
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

/* A record like this one, whose channel has these notes, at this level; in place of the one of the
 * same connection, which was handed to another worker. False: the table is full. */
bool conn_table_add(const struct conn_kept *like, struct channel_notes *notes, uint32_t level,
                    int64_t now_ms);

/* It is looked at soon, and then often. */
void conn_table_hurry(struct conn *conn, int64_t now_ms);

/* The channel is about to end: its records stay, and are looked at soon. */
void conn_table_disown(struct channel_notes *notes, int64_t now_ms);

/* It was looked at, and is still open; or was left out by a list, and is looked at again soon. */
void conn_table_put_off(struct conn *conn, int64_t now_ms);

void conn_table_remove(struct conn *conn);

/* The one that is due first, or NULL. */
struct conn *conn_table_first(void);

/* The record of this cookie, of those that we have sent; or NULL. */
struct conn *conn_table_find(uint64_t cookie);

/* The record that the worker of this channel has noted by this turn, or NULL. */
struct conn *conn_table_find_taken(uint64_t channel, uint32_t turn);

/* How many there are. */
uint32_t conn_table_count(void);

/* And of them, of workers of that slot, those of the past too. */
uint32_t conn_table_count_slot(uint32_t slot);

/* Whether at least so many are due that have the family and the local port of this one. */
bool conn_table_has_due(const struct conn *like, uint32_t count, int64_t now_ms);

#endif
