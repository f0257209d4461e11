/*
 * held.h - connections that the broker has accepted and not offered yet, in a table that survives
 * the broker: memory that its keeper finds by the journal (journal_held_fd()), as it has the
 * descriptors. Here is what there is; front.h decides what becomes of it.
 *
 * A descriptor is in the table from the store of its stage until held_remove() stores HELD_FREE,
 * which comes before it is sent or closed. So after a crash each connection is either here, or open
 * and in no record, and then survive/recount.c rescues it.
 */
#ifndef SSHIM_BROKER_HANDOUT_FRONT_HELD_H
#define SSHIM_BROKER_HANDOUT_FRONT_HELD_H

#include <assert.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "broker/pool/listener.h"

/* In which order a connection goes through them; one that a listener does not ask for is left out.
 * The numbers are in the table: another version may read them. */
enum held_stage {
    HELD_FREE = 0,     /* no connection */
    HELD_HEADER = 1,   /* --accept-proxy: its PROXY header is not there yet */
    HELD_REQUEST = 2,  /* --hold: what it asks for is not there yet */
    HELD_COMPLETE = 3, /* waits for an idle worker */
    HELD_ANSWERED = 4, /* --when-full: it was told that none came, and reads that */
};
static_assert(HELD_ANSWERED + 1 == LISTENER_STAGES, "a queue for each stage");

/* Why the broker closed one: name in the source, field of status. The order is in the table. */
#define HELD_CLOSINGS(X)                                                                           \
    X(TIMEOUT, "hold_timeouts")   /* not complete in time */                                       \
    X(HUNG_UP, "hung_up")         /* the client left before */                                     \
    X(EVICTED, "hold_evicted")    /* the oldest silent one: the table of its listener was full */  \
    X(SHUT, "hold_shut")          /* nobody serves the listener any more */                        \
    X(DEAD, "dead")               /* the client left while it waited for a worker */               \
    X(REJECTED, "proxy_rejected") /* no valid PROXY header in time, or not of a known balancer */  \
    X(LIMITED, "limited")         /* --max-conns-per-source, --max-rate-per-source */              \
    X(DENIED, "denied")           /* --allow, --deny */                                            \
    X(FULL, "full")               /* --when-full: no worker could take it in time */

enum held_closing {
#define X(name, field) HELD_##name,
    HELD_CLOSINGS(X)
#undef X
        HELD_CLOSINGS_COUNT
};
extern const char *const held_closing_names[];
#define HELD_CLOSINGS_MAX 15 /* how many there may ever be */

/* What a stage found when it looked at a connection. It is told what epoll_wait(2) has reported, or
 * 0: with these the client sends no more. */
#define HELD_HALF_CLOSED (EPOLLRDHUP | EPOLLHUP)

struct held_look {
    enum {
        LOOK_MORE,  /* more must come */
        LOOK_LATER, /* or it cannot; look again in a while */
        LOOK_DONE,  /* on to the next stage */
        LOOK_CLOSE,
    } result;
    enum held_closing why; /* with LOOK_CLOSE */
};

/* Of one listener; survives us. */
struct held_counts {
    uint64_t closed[HELD_CLOSINGS_MAX];
};

/* A sockaddr without the room for a path: a name of AF_UNIX is asked for when it is needed. */
union held_address {
    sa_family_t family;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
};

struct held {
    /* What the next broker goes on from. Fields may be added at the end of this part. */
    _Atomic uint32_t stage; /* enum held_stage */
    int32_t fd;             /* keeps */
    uint32_t origin;        /* counts_number of its listener */
    uint32_t peer_len;      /* as accept(2) gave it; more than the union for a named AF_UNIX peer */
    int64_t since_ms;       /* when it came to this stage, by loop_now_ms() */
    union held_address peer;
    uint32_t is_nonblock; /* it has O_NONBLOCK set */

    /* Of this broker alone. */
    struct listener *listener;
    struct loop_fd watch;    /* .fd is -1 while the loop does not know it */
    struct loop_timer again; /* it was looked at too often: not before this time again */
    uint32_t looks;
    TAILQ_ENTRY(held) queue; /* of its listener and stage; of the free ones */
};
static_assert(sizeof(struct held) <= 160, "50,000 of them take 8 MB");

#define HELD_MAX 65536 /* of all listeners together */

/* Makes the table. 0, or -1 with the errno of memfd_create(2), ftruncate(2) or mmap(2). */
int held_init(void);

/* From now on the journal has this table. After held_load(), where another broker was before. */
void held_publish(void);

/* Whether there is a table. */
bool held_is_there(void);

/* Once for each listener, before held_add(). */
void held_prepare(struct listener *listener);

/* A record of fd (takes), whose peer and O_NONBLOCK the offer tells, at the end of the stage's
 * queue. NULL: the table is full, and the fd is the caller's still. */
struct held *held_add(struct listener *listener, enum held_stage stage, int fd,
                      const struct wire_offer *offer);

/* Goes on to another stage, to the end of its queue. */
void held_set_stage(struct held *held, enum held_stage stage);

/* The host of its peer, or, behind HELD_HEADER, of the client that the header names. False: it has
 * none (AF_UNIX). */
bool held_get_host(const struct held *held, struct cidr_host *host);

/* The record is free; gives the fd. */
int held_remove(struct held *held);

/* The counts of a listener, zeroed when it begins. */
struct held_counts *held_counts_of(const struct listener *listener);
void held_reset_counts(const struct listener *listener);

/* How many there are, of all listeners. */
uint32_t held_count(void);

/* How many other descriptors this process has at least, or had while there was always one held: the
 * kernel gives the lowest number that is free, open(2), so those below a new one were taken. */
uint32_t held_count_others(void);

/* Suspensions of this process (loop_suspended_ms()) are noted, so that the next broker knows what
 * since_ms means. With each snapshot. */
void held_note_clock(void);

/* Calls visit for every descriptor in the table, that of the table first. In any process that
 * shares the broker's descriptors. */
void held_each_fd(void (*visit)(int fd, void *context), void *context);

/*
 * Goes on from the table of the broker before, if it had one: its connections are in the queues of
 * their listeners, oldest first, in no loop. map as in survive/state_load.h. Connections of
 * listeners that are no more are closed. From then on the journal has this table.
 */
void held_load(int (*map)(int fd));

#endif
