/*
 * listener.h - the broker's record of one shared address: the canonical socket, the channels of the
 * workers that share it, and its queues. Lookup and life; dispatch.h decides who gets a connection.
 */
#ifndef SSHIM_BROKER_POOL_LISTENER_H
#define SSHIM_BROKER_POOL_LISTENER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "broker/base/address.h"
#include "broker/base/config.h"
#include "broker/base/journal.h"
#include "broker/base/loop.h"
#include "broker/pool/channel.h"
#include "broker/pool/path.h"
#include "broker/pool/socket_key.h"

struct session;
struct held;
TAILQ_HEAD(held_queue, held);
#define LISTENER_STAGES 5 /* enum held_stage, handout/front/held.h */

#define LISTENER_NAME_MAX 64 /* with its zero */
#define LISTENER_WAITS 13    /* counts of waits, by how long, see handout/waits.h */

/* Each part is written only by the file named with it; a test checks that. Any file may read. */
struct listener {
    /* Written by pool/listener.c: */
    struct address key;       /* as claimed */
    struct socket_key socket; /* of the canonical socket: tells listeners of one address apart */
    unsigned ordinal;         /* --share all: the n-th port 0 of each worker */
    struct address bound;     /* as getsockname(2) gives it */
    struct address asked;     /* what a server asked for last, see claim/meant.h; len 0: this */
    struct path path;
    bool owes_removal;   /* of the file: a worker was kept from it, or ended before it */
    int canonical_fd;    /* keeps; -1: reserved, a peer is about to bind or remove a path */
    ino_t canonical_ino; /* 0: none yet */
    bool listening;      /* some worker called listen() */
    bool shut;           /* nothing is accepted any more */
    bool inherited;      /* a service manager's: not ours to shut down, to give back or to remove */
    bool stored;         /* the manager has a copy, see share/store.h: a stop leaves it open */
    char name[LISTENER_NAME_MAX]; /* that the manager gave it; "": none */
    bool displaced; /* it is shut, or its file was removed: no other copy will come for it */
    int backlog;    /* what the program asked for */
    struct channel **channels;
    uint32_t channel_count;
    uint32_t channel_room;
    struct loop_timer retire; /* no living worker listens on it: share/retire.c */
    int64_t retire_ms;        /* the timer's last delay */
    uint64_t missed_by[CONFIG_WORKERS_MAX / 64]; /* slots whose worker ended with it, a bit each */
    struct journal_counts *counts;               /* in the journal; survives us */
    uint32_t counts_number;
    uint64_t missing_recalls; /* offers of a broker that was killed: they count as recalled, but a
                                 worker may have accepted one and not counted it yet */
    TAILQ_ENTRY(listener) all;

    /* Written by pool/channel_offers.c: */
    struct channel_queue outstanding, recallable, woken;

    /* Written by share/claim/bind.c: */
    bool began_late;      /* a worker bound it just after it had begun to serve */
    bool is_of_beginning; /* and had it alone so far: it may not share it later */

    /* Written by survive/state_save.c: */
    uint32_t number; /* in the snapshot being written */

    struct {
        struct loop_timer tick;     /* connections wait: a worker may be idle unseen */
        unsigned tick_ms;           /* until the next one */
        uint64_t seen_progress;     /* at the last one */
        struct loop_timer pause;    /* short of something */
        bool waits;                 /* connections wait and no worker is idle */
        enum board_queue published; /* how the scoreboards say that */
        uint64_t begun;             /* how often that began */
        int64_t waits_since_ms;     /* when it last began */
        int64_t waited_ms;          /* how long it has lasted in all, without the last time */
        int64_t shortage_told_ms;   /* when a shortage was last reported; 0: never */
    } queue;                        /* written by handout/queue.c */

    struct {
        uint64_t wakes;           /* how often a worker reported that it came back */
        int64_t lingers_until_ms; /* until then a close of ours may sleep */
    } dispatch;                   /* written by handout/dispatch.c */

    struct {
        bool holds;  /* a connection that was accepted or recalled and could not be sent: */
        int held_fd; /* keeps */
        int64_t held_since_ms;
        struct wire_offer held;
        unsigned sleeps; /* how often accept4 slept: a worker clears O_NONBLOCK, which all share */
        int64_t young_until_ms; /* until then nothing in the kernel's queue has waited for long */
    } take;                     /* written by handout/take.c */

    struct {
        bool is_on; /* the broker accepts connections before a worker is idle for them */
        enum config_hold hold;
        enum config_accept_proxy accept_proxy;
    } front; /* written by handout/front/front.c */

    struct {
        uint32_t count;                            /* of connections */
        struct held_queue queues[LISTENER_STAGES]; /* by stage, oldest first */
    } held;                                        /* written by handout/front/held.c */

    struct {
        struct loop_timer deadline; /* of the oldest connections held */
    } stages;                       /* written by handout/front/stages.c */

    struct {
        bool is_led;            /* --leader: the lowest slot alone gets connections */
        uint64_t given;         /* the ordinal of the channel behind which the next search begins */
        uint32_t cursor;        /* where that was */
        bool waits_for_lighter; /* an idle worker exists, but a less loaded one is due within
                                   PICK_LIGHTER_MS */
        uint64_t seen_motion;   /* of the workers whose fd table has room */
        int64_t moved_ms;       /* when it was seen to change */
    } pick;                     /* written by handout/pick.c */

    struct {
        struct loop_timer check; /* offers are out: are they taken? */
    } recall;                    /* written by handout/recall.c */

    struct {
        struct loop_fd watch;      /* canonical_fd */
        bool watched;              /* the loop knows the canonical socket */
        bool armed;                /* it tells when a connection is there */
        bool exclusive;            /* unless a worker is woken for it */
        bool high_rate;            /* event loops may wait exclusively on the canonical socket */
        struct loop_timer lookout; /* how fast do they come; does one wait that nobody took? */
    } poll;                        /* written by handout/canonical/listener_poll.c */

    struct {
        struct loop_timer timer; /* a worker shut it down: listen again then */
        int64_t done_ms;         /* when it was made to listen again */
        int64_t told_ms;         /* when that was last reported; 0: never */
        unsigned refusals;       /* in a row, by the kernel, to listen again */
        uint64_t shut_downs;     /* how often a worker was found to have shut it down */
    } revive;                    /* written by handout/canonical/revive.c */

    struct {
        uint64_t count[LISTENER_WAITS]; /* of connections that were handed out */
        uint64_t sum_ms;
    } waits; /* written by handout/waits.c */

    struct {
        int queued; /* connections, at the last look */
        uint64_t accepted;
    } elastic; /* written by operate/steer/elastic.c */

    struct {
        bool favours;       /* among equals the same workers are given first, see rate.h */
        bool saturated;     /* many a second wait for workers, or go through our hands */
        uint32_t allowance; /* see rate.h */
        int64_t reviewed_ms;
        uint64_t accepted; /* connections, until then */
        uint64_t count;    /* of them in the last period */
        uint64_t late;     /* that waited for a worker */
        uint64_t closed;
        uint64_t direct;
        uint64_t wakes;  /* dispatch.wakes then */
        uint64_t queues; /* queue.begun then */
    } rate;              /* written by handout/canonical/rate.c */
};

TAILQ_HEAD(listener_queue, listener);
extern struct listener_queue listeners;

/* Sets the callbacks of the hand-out: for a listener that got its canonical socket, and before one
 * ends. And the callback for a listener that no living worker has. */
void listener_init(void (*on_begin)(struct listener *listener),
                   void (*on_end)(struct listener *listener),
                   void (*on_unused)(struct loop_timer *retire));

/* Hands out what can be handed out now: as if the canonical socket had become readable. May free
 * channels that are closed, and their workers. */
void listener_pump(struct listener *listener);
void listener_pump_all(void);

/* The listener of this address and this kind of socket that is not shut, or NULL. */
struct listener *listener_find(const struct address *key, const struct socket_key *socket,
                               unsigned ordinal);

/* The listener of this socket file, or, with reserved, the one of the peer that is about to bind or
 * to remove it; or NULL. */
struct listener *listener_find_path(const struct path *path, bool reserved);

/*
 * A new listener without a canonical socket. Takes the path (NULL unless the address is one) if it
 * succeeds. Returns NULL with errno ENOMEM.
 */
struct listener *listener_create(const struct address *key, unsigned ordinal,
                                 const struct path *path);

/* Goes on with the counts of a listener that another broker had. */
void listener_adopt_counts(struct listener *listener, uint32_t number);

/* Gives it its canonical socket (takes), already bound. 0, or -1 with the errno of getsockname(2).
 */
int listener_set_canonical(struct listener *listener, int canonical_fd);

/* It is of a path that the broker does not look up, but knows by the place that named it. */
void listener_set_view(struct listener *listener, uint64_t view);

/* Closes, unlinks and frees it. It must have no channels left. */
void listener_destroy(struct listener *listener);

/* Another program removed its file, and another listener has bound the path: serves its connected
 * clients until the last copy that listens on it ends. */
void listener_displace(struct listener *listener);

/* Nothing is accepted from it any more. */
void listener_set_shut(struct listener *listener);

/* It has come from a service manager. */
void listener_set_inherited(struct listener *listener);

/* It has, and is ours all the same. */
void listener_set_own(struct listener *listener);

/* A service manager has a copy of the canonical socket. */
void listener_set_stored(struct listener *listener);

/* The name that a service manager gave it; of a longer one the beginning. */
void listener_set_name(struct listener *listener, const char *name);

/* A channel of it was closed, or its worker drains or has ended: if no living worker has it now,
 * share/retire.c decides what becomes of it. Not at once: the caller may hold it. */
void listener_retire_if_unused(struct listener *listener);

/* The same after this time, which retire_ms tells then. */
void listener_retire_in(struct listener *listener, int64_t delay_ms);

/* A worker was kept from removing its file, or ended before it did. */
void listener_owe_removal(struct listener *listener);

/* Those at which a look is due some day, at once, but this one (NULL: all). The caller holds no
 * other that is unused. */
void listener_retire_now(const struct listener *but);

/* Whether the last worker of this slot ended and had it, so that the next one may come back to it.
 */
void listener_set_missed(struct listener *listener, unsigned slot, bool on);
bool listener_is_missed_by(const struct listener *listener, unsigned slot);

/* The socket can never listen again: its address, and its file if it has one, are free for another
 * listener. */
void listener_give_up(struct listener *listener);

/* A worker was given it in the place of this address, see claim/meant.h; NULL: it has asked for it.
 */
void listener_set_asked(struct listener *listener, const struct address *asked);

/* A worker called listen() with this backlog; the listener is handed out from. */
void listener_set_backlog(struct listener *listener, int backlog);
void listener_set_listening(struct listener *listener, bool on);

void listener_add_channel(struct listener *listener, struct channel *channel);

/* Takes the channel out of all lists of the listener and adds its counts to the listener's. */
void listener_remove_channel(struct listener *listener, struct channel *channel);

/* Length of the accept queue and its limit (tcp(7), TCP_INFO of a listening socket); -1 where
 * unknown. */
int listener_queued(const struct listener *listener, int *limit);

/*
 * Connections by fate, those of channels that are gone included:
 * accepted = handed + direct, handed = taken + recalled + lost + untaken. A recalled connection is
 * handed again and counts again; connections counts each once.
 */
struct listener_totals {
    uint64_t connections, accepted, handed, direct, taken, recalled, lost, untaken;
};
struct listener_totals listener_totals(const struct listener *listener);

/* Counts what this channel's worker accepted of a broker that was killed, and no more than what is
 * missing in the sums. */
void listener_count_late(struct channel *channel);

/* A broker that was killed may have taken an offer back without counting it: makes the sums right
 * again. */
void listener_repair_counts(struct listener *listener);

/* Whether a connection is in hand (take.holds), which no snapshot tells. */
bool listener_any_holds(void);

#endif
