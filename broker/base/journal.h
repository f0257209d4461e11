/*
 * journal.h - the state that survives the broker: shared memory that the keeper (keeper.h) maps as
 * well. Counters and the connection in hand are written in place; everything else is a snapshot
 * that state_save.h makes when something changed.
 *
 * A broker may be killed between any two instructions. So a snapshot is written beside the valid
 * one, and one store makes it valid; the in-hand record says which connection may be both held and
 * sent.
 */
#ifndef SSHIM_BROKER_BASE_JOURNAL_H
#define SSHIM_BROKER_BASE_JOURNAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Connections of one listener, by fate. */
struct journal_counts {
    uint64_t handed;   /* offers sent */
    uint64_t recalled; /* of which taken back */
    uint64_t taken;    /* of these, accepted by channels that are gone */
    uint64_t lost;     /* of which destroyed with or by their worker, by channels that are gone */
    uint64_t direct;   /* taken from the canonical socket by channels that are gone */
};

/* A connection that is being sent. */
struct journal_in_hand {
    int reserved;
    uint64_t channel;
    uint64_t net;    /* what the channel has sent and not recalled once this is done */
    uint64_t handed; /* what the listener's count is then */
};

/* Makes the memory. 0, or -1 with the errno of memfd_create(2), ftruncate(2) or mmap(2). */
int journal_init(void);

/* Maps the memory of another broker instead; borrows fd. 0, or -1 with the errno of mmap(2) or
 * EPROTO. */
int journal_adopt(int fd);

/* Maps the memory of another broker, borrowing fd, only to read the snapshot. The same errors. */
int journal_look(int fd);

/* The memory's fd, to pass it on (keeps). */
int journal_fd(void);

/* The most listeners that there can be. */
#define JOURNAL_LISTENERS_MAX 256

/* A place for the counts of a new listener, zeroed, and its number; NULL when all are in use. */
struct journal_counts *journal_reserve_counts(uint32_t *number);
struct journal_counts *journal_counts_at(uint32_t number);
void journal_release_counts(uint32_t number);

/*
 * What changes with each connection and each turn of the loop, to be written without a call. The
 * pointers are never NULL: before there is a journal they lead to memory that nobody else sees.
 */
struct journal_live {
    /* A connection is in hand from the store of in_hand_fd, after *in_hand, until that of -1.
     * channel_send() begins it, who closes the connection ends it. */
    struct journal_in_hand *in_hand;
    _Atomic int *in_hand_fd;
    /* The turn of the loop, counted at its beginning and at its end: odd while the loop works. The
     * keeper looks whether it changes. Written by base/turn.c. */
    _Atomic uint64_t *turn;
    /* Whether the keeper has ever ended a program that stood still. */
    _Atomic int *stood_still;
    bool touched; /* by journal_touch() since the loop made a snapshot */
    bool unsaved; /* the same, since any snapshot was made */
};
extern struct journal_live journal_live;

/* A field of the snapshot has changed: make a new one before the loop waits. Cheap. */
void journal_touch(void);

/*
 * Before others learn of a change (a worker is started or has its answer, an operator is told): if
 * there is one, makes the snapshot now. Without the function, which run.c gives when the first
 * snapshot is due, it does nothing: until then that of the broker before is to hold.
 */
void journal_save_now(void);
void journal_set_save(void (*save)(void));

/*
 * Room for the next snapshot; publish makes it the valid one. NULL and 0 bytes: there is none yet.
 * format is that of its records (snapshot.h). It changes with the snapshot by one store.
 */
void *journal_snapshot_room(size_t *size);
void journal_publish_snapshot(size_t len, uint16_t format);
const void *journal_snapshot(size_t *len, uint16_t *format);

/*
 * Descriptors that wait to be closed, see closer.h. note gives the number of a place, -1 when all
 * are taken; take frees it and gives the fd, -1 when it was free.
 */
int journal_note_closing(int fd);
int journal_take_closing(uint32_t place);
bool journal_is_closing(int fd);

/* Around a close in the broker itself: one place is kept for it. */
void journal_begin_closing(int fd);
void journal_end_closing(void);

/* The keeper that goes on when the broker dies: another one that sees the death ends. 0: any. */
void journal_set_keeper(pid_t pid);
pid_t journal_keeper(void);

/* The keeper pid puts itself in the place of what it has seen there. False: another one was first.
 */
bool journal_claim_keeper(pid_t seen, pid_t pid);

/* The process that forks for the broker, see process/deputy.h. 0: none. */
void journal_set_deputy(pid_t pid);
pid_t journal_deputy(void);

/*
 * An upgrade, from exec of the new program until it serves. Meanwhile the old program can be
 * executed again. The numbers are the same in the broker and in its keeper.
 */
struct journal_upgrade {
    int old_program_fd; /* its file */
    int asker_fd;       /* the connection of `sshim upgrade`; -1: none */
    int tries_left;     /* after this one */
    int watcher_fd;     /* pidfd of the keeper of journal_begin_hand_over(); -1: none */
};
void journal_begin_upgrade(const struct journal_upgrade *upgrade);
bool journal_find_upgrade(struct journal_upgrade *upgrade); /* whether one is under way */
void journal_end_upgrade(void);

/* The keeper is to execute the new program, since the broker may not: from the first call until the
 * second, which says whether it was so. watcher_fd: pidfd of the keeper that watches meanwhile; -1:
 * none. */
void journal_begin_hand_over(int watcher_fd);
bool journal_take_hand_over(void);

/* The keeper has ended a program that stood still: trying it again would take as long. */
void journal_note_standstill(void);

/* The memory of the connections that are held, see handout/front/held.h; -1: none. */
void journal_set_held_fd(int fd);
int journal_held_fd(void);

/* The memory of what balancers have told, see handout/front/proxied.h; -1: none. */
void journal_set_proxied_fd(int fd);
int journal_proxied_fd(void);

/* The memory of the connections of --conn-log, see operate/tell/conn_log/conn_table.h; -1: none. */
void journal_set_connections_fd(int fd);
int journal_connections_fd(void);

/* The broker ends in order: no keeper need take over. */
void journal_mark_clean(void);
bool journal_is_clean(void);

#endif
