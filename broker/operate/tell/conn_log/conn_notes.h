/*
 * conn_notes.h - reads what a worker notes of its connections (proto/notes.h). The worker may write
 * anything there at any time: each note is copied, then judged, and no value of it makes a reader
 * read more than NOTES_MAX notes that were not there before.
 */
#ifndef SSHIM_BROKER_OPERATE_TELL_CONN_LOG_CONN_NOTES_H
#define SSHIM_BROKER_OPERATE_TELL_CONN_LOG_CONN_NOTES_H

#include "broker/diagnose/sock_diag.h"
#include "broker/operate/tell/conn_log/conn_table.h"
#include "broker/pool/channel.h"
#include "proto/notes.h"

enum conn_note_kind {
    CONN_NOTE_NONE,  /* there is no more now */
    CONN_NOTE_BAD,   /* it says nothing; counted as lost */
    CONN_NOTE_TAKEN, /* all members */
    CONN_NOTE_CLOSED /* at_ms, forks, turn; or, turn 0, key.cookie */
};

struct conn_note {
    int64_t at_ms;   /* CLOCK_MONOTONIC; not in the future */
    int64_t wait_ms; /* -1: not known */
    uint32_t forks;
    uint32_t turn;            /* of its take */
    struct sock_diag_key key; /* but the device, and no cookie of a take */
    union conn_address client;
};

/* The next note of a listener of this family. */
enum conn_note_kind conn_notes_read(struct notes *ring, struct channel_notes *state,
                                    sa_family_t family, int64_t now_ms, struct conn_note *note);

/* How many connections were lost since the last call. */
uint32_t conn_notes_take_lost(struct notes *ring);

/* The broker before has read so far; or, is_new, nobody was to write any. */
void conn_notes_begin(struct notes *ring, struct channel_notes *state, bool is_new);

#endif
