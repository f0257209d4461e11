/*
 * door.h - the listening sockets at which peers come in, and when they are watched. What comes in
 * is a session (session.h).
 */
#ifndef SSHIM_BROKER_POOL_SESSION_DOOR_H
#define SSHIM_BROKER_POOL_SESSION_DOOR_H

#include <stdbool.h>

#include "broker/base/loop.h"
#include "broker/base/process/budget.h"

/*
 * At most this many connections at a time, by where they came in: the abstract name, which every
 * local user reaches, and the file, which only the broker's own does. A further one closes the
 * oldest silent one; if all have spoken, it waits in the backlog.
 */
#define SESSION_WORKERS_MAX 448
#define SESSION_OPERATORS_MAX 64
#define SESSION_TEXTS_MAX 32

/* Where a peer comes in. Messages are of proto/wire.h; text is a line and its answer. */
#define DOORS(X)                                                                                   \
    X(NAME, SESSION_WORKERS_MAX, false)   /* the abstract name: workers */                         \
    X(LINK, SESSION_OPERATORS_MAX, false) /* the file PATH.link: the same, and `sshim` */          \
    X(CONTROL, SESSION_TEXTS_MAX, true)   /* the file PATH: commands as text */                    \
    X(READ_ONLY, SESSION_TEXTS_MAX, true) /* --control-ro: read-only */

enum door_name {
#define X(name, max, is_text) DOOR_##name,
    DOORS(X)
#undef X
};
#define DOORS_COUNT 4

/* Written by door.c, but for sessions. */
struct door {
    struct loop_fd watch; /* .fd keeps; -1: is not open */
    unsigned sessions;    /* that came in here and have not ended: session.c */
    unsigned max;
    bool is_text;
    bool refuses_fds;     /* text carries no descriptors */
    bool paused;          /* all of its sessions are at work */
    struct budget budget; /* of the links of strangers which no worker paid for */
    struct budget_waiter waits;
};

struct door *door_at(enum door_name name);
enum door_name door_name(const struct door *door);

/* Watches its socket (takes). 0, or -1 with the errno of epoll_ctl(2). */
int door_open(enum door_name name, int fd,
              void (*on_ready)(struct loop_fd *watch, uint32_t events));

/* The socket of a door, or -1. */
int door_fd(enum door_name name);

/* Peers wait in the backlog, until another call says that they need not. */
void door_pause(struct door *door, bool on);

/* Whether one more peer may come in now. Who comes in is not known before: so where strangers have
 * used up their share of our time, all wait in the backlog for a moment. */
bool door_may_accept(struct door *door);

/* A link of a stranger has taken so much of our time. */
void door_pay(struct door *door, int64_t used_us);

/* At all doors they wait for a moment: descriptors or memory are out. */
void door_rest(void);

/* The abstract name of DOOR_NAME, without its leading zero; "" if it has none. */
const char *door_abstract_name(void);

#endif
