/*
 * channel.h - the broker's record of one worker's share in one listener: both ends of a
 * SOCK_SEQPACKET pair, the scoreboard page, and what was sent and taken. Trusts nothing that the
 * worker wrote.
 */
#ifndef SSHIM_BROKER_POOL_CHANNEL_H
#define SSHIM_BROKER_POOL_CHANNEL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "broker/base/journal.h"
#include "broker/base/loop.h"
#include "broker/base/process/budget.h"
#include "proto/scoreboard.h"
#include "proto/wire.h"

struct listener;
struct worker;

/* By which its memory is found among what a process has mapped. */
#define CHANNEL_BOARD_NAME "sshim-board"

/* Whether its scoreboard is believed. Written by belief.c alone; survive/state_load.c restores
 * `wait_invisible`. */
struct belief {
    bool wait_invisible; /* it waits invisibly: without an untaken offer it counts as idle */
    bool overdue;        /* it said that it waits, and did not accept in time */
    bool probing;        /* an offer was sent although it seemed busy */
    unsigned misses;     /* offers in a row that it did not accept in time */
    unsigned
        ignored_offers;  /* times that it went on waiting and accepted nothing of what was sent */
    int64_t probe_at_ms; /* before this time a suspect gets nothing */
    uint32_t seen_waits; /* the worker's counters at the last look */
    uint64_t seen_accepted;
};

struct conn;
LIST_HEAD(conn_list, conn);

/* What the log of connections knows of a worker's notes, see proto/notes.h. */
struct channel_notes {
    uint32_t read;          /* of them so far */
    int64_t unwritten_ms;   /* since when the next one is reserved and not written; 0: it is not */
    int proven;             /* closes in a row that the kernel confirmed; below 0: it did not */
    unsigned sample;        /* closes that it was not asked for */
    unsigned unnoted;       /* ends in a row without a note */
    struct conn_list conns; /* operate/tell/conn_log/conn_table.h */
};

/* Each part is written only by the file named with it; a test checks that. Any file may read. */
struct channel {
    /* Written by pool/channel.c: */
    uint64_t id;
    struct listener *listener;
    struct worker *worker;
    int our_fd;       /* keeps */
    bool refuses_fds; /* of the worker */
    int their_fd; /* keeps: a dup of the worker's end, by which offers are recalled; -1: let go */
    dev_t their_dev; /* of the worker's end, to know it again */
    ino_t their_ino;
    int board_fd; /* keeps: for processes that attach later */
    struct board *board;
    bool has_notes;     /* the page is followed by a ring for them */
    bool listening;     /* the worker said so */
    bool closed;        /* the worker closed it, or is gone: no offer goes here any more */
    uint32_t flags;     /* BOARD_WAIT_INVISIBLE, ... as published */
    uint32_t allowance; /* as published */

    /* Written by pool/channel_offers.c: */
    uint64_t sent;        /* offers, recalled ones included */
    uint64_t recalled;    /* offers taken back */
    uint64_t written_off; /* offers that are gone from the channel though the worker never counted
                             them */
    bool on_outstanding, on_recallable, on_woken;
    TAILQ_ENTRY(channel) outstanding; /* listener: has offers that may be untaken */
    TAILQ_ENTRY(channel) recallable;  /* listener: has offers that should go to another worker */
    TAILQ_ENTRY(channel) woken;       /* listener: `queue_waits` is to be set again */

    /* Written by pool/listener.c: */
    uint32_t position; /* in listener->channels */
    uint64_t ordinal;  /* rises with the position, and stays */

    /* Written by share/channel_messages.c: */
    struct loop_fd watch;       /* our_fd; .fd is -1 while it is not watched */
    struct budget_waiter waits; /* its worker has used up its share */
    LIST_ENTRY(channel) of_worker;

    /* Written by handout/canonical/listener_poll.c: */
    uint32_t seen_exclusive; /* worker.exclusive_waits of the board when it was last looked at */

    struct belief belief; /* written by pool/belief.c */

    struct {
        uint64_t checked_accepted;
        int64_t sent_at_ms; /* when the oldest untaken offer may have been sent */
        int64_t given_ms;   /* when the newest offer was sent */
    } recall;               /* written by handout/recall.c */

    /* Written by share/intercept/socket_file.c: */
    bool gave_up_file; /* the worker has removed the socket file, which stays for others */

    struct {
        pid_t claimant;     /* the process that asked for it; 0: not known any more */
        int64_t granted_ms; /* when it was answered */
    } grant;                /* written by share/grant.c */

    struct channel_notes notes; /* written in operate/tell/conn_log/ */
};

LIST_HEAD(channel_list, channel);

TAILQ_HEAD(channel_queue, channel);

/*
 * Makes the pair and the page; *worker_fd is the worker's end, given to the caller. The channel is
 * in no list yet. Returns NULL with the errno of socketpair(2), memfd_create(2), mmap(2) or EMFILE.
 */
struct channel *channel_create(struct listener *listener, struct worker *worker, int *worker_fd);

/* The same from what another broker left (takes the fds). NULL with the errno of mmap(2) or ENOMEM;
 * the fds are closed. */
struct channel *channel_restore(struct listener *listener, struct worker *worker, uint64_t id,
                                int our_fd, int their_fd, int board_fd);

/* Who reads notes: those of this channel are many or the first, or it is about to end. NULL: nobody
 * any more. */
typedef void channel_reader(struct channel *channel, bool is_over);
void channel_set_reader(channel_reader *reader);
void channel_read_notes(struct channel *channel, bool is_over);

/* Closes and frees it; it must be in no list any more. */
void channel_destroy(struct channel *channel);

/* The worker called listen(). */
void channel_set_listening(struct channel *channel);

/* The worker closed it, or is gone. */
void channel_set_closed(struct channel *channel);

/* 1: the next message brings descriptors, which can be only before Linux 6.16; they stay in the
 * queue, since the close of what is received and not wanted may sleep. 0: it does not. -1: there is
 * none. */
int channel_peek_fds(const struct channel *channel);

/*
 * The worker closed it and it is empty: closes their_fd. True: another process holds the worker's
 * end, or it is on its way to one (SCM_RIGHTS); end of file comes when none does.
 */
bool channel_let_go(struct channel *channel);

/* No offer will be recalled: from now on end of file comes when no process holds the worker's end.
 */
void channel_stop_recall(struct channel *channel);

/* A process that holds the worker's end (fd) asks for the channel: takes fd if it is that end and
 * their_fd was closed. False: the channel is over. */
bool channel_take_back(struct channel *channel, int fd);

/* Whether a descriptor is one end of any channel. -1: no. */
bool channel_is_end(int fd);

/* The broker's line of the scoreboard. */
void channel_set_queue(struct channel *channel, enum board_queue value);
void channel_set_flag(struct channel *channel, uint32_t flag, bool on);
/* Those in the mask, in one store. */
void channel_set_flags(struct channel *channel, uint32_t mask, uint32_t flags);
void channel_set_allowance(struct channel *channel, uint32_t connections);

/* --- channel_offers.c --- */

/* What the worker's line of the scoreboard says, as far as the worker can be believed. */
struct channel_reading {
    uint64_t accepted;   /* connections */
    uint64_t active;     /* of which it has not closed */
    uint64_t direct;     /* of which it took past the broker */
    uint64_t motion;     /* changes whenever the worker waits, accepts or closes something */
    uint32_t untaken;    /* offers; no more than were sent */
    uint32_t waits;      /* how often it began to wait */
    uint32_t waiting;    /* threads that wait now */
    bool wait_invisible; /* no wait of it was ever seen, or those that were seen mean nothing */
    bool fds_low;        /* its fd table is nearly full: others are preferred */
};
struct channel_reading channel_read(const struct channel *channel);

/* The process of this worker, the only one that has the channel, has executed a program: no thread
 * waits any more, and the connections that were accepted before are closed, or not seen. */
void channel_forget_program(struct channel *channel);

/* Single values of it. */
uint32_t channel_untaken(const struct channel *channel);
uint64_t channel_accepted(const struct channel *channel);
bool channel_has_accepted_at_port(const struct channel *channel); /* any, at no socket file */
uint64_t channel_active(const struct channel *channel);
uint64_t channel_motion(const struct channel *channel);

/* The channel is gone and empty: adds what became of its offers. Uncounted offers were lost with
 * the worker. */
void channel_settle(const struct channel *channel, struct journal_counts *counts);

/*
 * If the last broker was killed, the worker may have accepted offers before it counted them, so our
 * count began too low. Adds the offers that the worker has counted by now; returns how many.
 */
uint64_t channel_count_late(struct channel *channel, uint64_t at_most);

/* Sends an offer with conn_fd (borrowed); notes in the journal the listener's count once this is
 * sent. 0, or -1 with the errno of fdpass_send(). */
int channel_send(struct channel *channel, const struct wire_offer *offer, int conn_fd,
                 uint64_t handed);

/* Takes the oldest untaken offer back. Gives the connection, or -1 when there is none left. */
int channel_recall(struct channel *channel, struct wire_offer *offer);

/* Around channel_recall(): the worker waits meanwhile before it looks whether an offer that it is
 * about to announce is there. */
void channel_set_recalling(struct channel *channel, bool on);

/* The listener blocks and a wait has reported it readable: the program relies on finding an offer
 * there. A hint, as everything that the worker writes. */
bool channel_is_announced(const struct channel *channel);

/* Whether no datagram waits in it. */
bool channel_is_empty(const struct channel *channel);

/* The channel is empty and yet offers count as untaken: the worker's counter is wrong, go on
 * without it. */
void channel_write_off(struct channel *channel);

/* The channel is empty: counts from what the worker has taken. Returns that. */
uint64_t channel_restart_counters(struct channel *channel);

/* Puts it into, or takes it out of, that queue of its listener; idempotent. */
void channel_set_outstanding(struct channel *channel, bool on);
void channel_set_recallable(struct channel *channel, bool on);
void channel_set_woken(struct channel *channel, bool on);

/* Out of all of them: it leaves the listener. */
void channel_leave_queues(struct channel *channel);

/* No more offers go here; the offers in it become recallable. Frees nothing. */
void channel_disown(struct channel *channel);

#endif
