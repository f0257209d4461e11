/*
 * notes.h - what a worker notes for --conn-log of connections that it takes and closes: a ring in
 * the memory of its scoreboard, which it writes and the broker reads.
 *
 * All threads and processes of the worker write: each reserves a place by a compare-and-swap, and
 * the note counts once its turn is there. No lock, and no place is waited for: what finds the ring
 * full is counted. The broker believes what a worker says of its own connections, and nothing else.
 */
#ifndef SSHIM_PROTO_NOTES_H
#define SSHIM_PROTO_NOTES_H

#include <assert.h>
#include <netinet/in.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdint.h>

#define NOTES_MAX 2048 /* places; 100 ms of 10,000 connections a second */
#define NOTES_MANY 512 /* not read yet: the broker is woken at each multiple */

enum note_kind { NOTE_TAKE = 1, NOTE_CLOSE };

struct note {
    _Atomic uint32_t turn; /* 1 for the first note of all, and so on; written last */
    uint32_t forks;        /* of this process so far: then it may not be the last one to close */
    uint32_t at_ms;        /* CLOCK_MONOTONIC, its lower half */
    uint32_t wait_ms;      /* of a take: from the handshake on; NOTES_NO_WAIT: not known */
    uint32_t taken;        /* of a close: the turn of the take; 0: the broker has sent it */
    uint32_t kind;         /* enum note_kind */
    union {
        uint64_t cookie; /* then: its SO_COOKIE, see socket(7) */
        struct {
            struct sockaddr_in6 peer, local; /* or sockaddr_in */
        };
    };
};
static_assert(sizeof(struct note) == 80, "of one layout in 32 and 64 bits");
#define NOTES_NO_WAIT UINT32_MAX

struct notes {
    alignas(64) _Atomic uint32_t next; /* places reserved so far */
    _Atomic uint32_t lost;             /* connections for which there was none */
    /* Written by the broker. */
    alignas(64) _Atomic uint32_t read; /* how many of them it has read */
    _Atomic uint32_t looks;            /* 1: it looks by itself soon; else who sets it wakes it */
    alignas(64) struct note at[NOTES_MAX];
};

#endif
